"""Images and nursing data of one patient in one order of time."""
