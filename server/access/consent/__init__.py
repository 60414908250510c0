"""Patients' consents: compiled when they are written, and asked as predicates over the keys of records."""
