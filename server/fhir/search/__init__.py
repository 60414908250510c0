"""Search: requests read, executed and paged (FHIR R4 3.1.1)."""
