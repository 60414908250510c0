"""Pixel data: what a data set says of its frames, codecs per transfer syntax, and transcoding of whole files."""
