"""Checks resources against the R4 definitions and against profiles compiled from StructureDefinitions."""
