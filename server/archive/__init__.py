"""The imaging service: store, find, retrieve and remove composite instances."""
