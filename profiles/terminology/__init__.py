"""Terminology: code systems, value sets and concept maps, and the questions FHIR asks of them."""
