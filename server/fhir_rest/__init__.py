"""FHIR R4 over HTTP: the surface, its formats and its capability statement."""
