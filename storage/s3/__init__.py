"""Blobs in an S3 bucket."""
