"""A synthetic ward: people who never were, for demonstrations and tests."""
