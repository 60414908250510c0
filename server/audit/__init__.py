"""What was done, by whom, to whose data: recorded before it is answered, chained so that no entry can be altered."""
