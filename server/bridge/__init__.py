"""Keeps FHIR resources equal to what the archive holds."""
