"""Patches of resources (R4, RESTful API, patch): each format is read to a pure change from one resource to the next."""
