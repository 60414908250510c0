"""The application: surfaces translate, services act, models know the standards."""
