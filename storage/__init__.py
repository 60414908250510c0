"""Keeps records and bytes; knows nothing of health care."""
