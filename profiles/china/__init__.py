"""What Chinese standards say of identifiers and names."""
