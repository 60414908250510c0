"""The DICOMweb surface (PS3.18)."""
