"""FHIR R4: the model of resources and the services that keep and find them; no HTTP."""
