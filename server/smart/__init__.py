"""Users, clients and what they may: the SMART on FHIR authorization server, without its pages and endpoints."""
