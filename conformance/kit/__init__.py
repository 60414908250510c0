"""Black-box conformance checks: any base URL, standard library HTTP only."""
