"""Who sees what, tried through every endpoint at once."""
