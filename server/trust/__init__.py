"""Whose word is believed: nodes by their certificates, assertions by their issuers (IHE ATNA, XUA)."""
