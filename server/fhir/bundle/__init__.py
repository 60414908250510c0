"""Bundles as requests: transaction and batch (FHIR R4 3.1.0.11)."""
