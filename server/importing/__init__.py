"""Bringing files into the archive: where they are found, what was done before, how they are stored."""
