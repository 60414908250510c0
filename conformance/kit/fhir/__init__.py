"""Black-box checks of a FHIR R4 service: any base URL, data of the run's own, standard library HTTP only."""
