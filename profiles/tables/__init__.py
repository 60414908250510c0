"""What `profiles.generate` makes: compact tables of the published R4 definitions."""
