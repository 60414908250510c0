"""Subscriptions by REST hook (FHIR R4 Subscription)."""
