"""Bulk data: what many resources say, written to files in the background (Bulk Data Access)."""
