"""The authorization server's endpoints and pages under `/oauth`."""
