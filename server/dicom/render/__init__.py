"""Rendering: from stored samples to what a browser shows (PS3.18 8.3.5, PS3.4 N.2)."""
