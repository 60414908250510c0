"""Snapshots of an archive in another place, and the way back."""
