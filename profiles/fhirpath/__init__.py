"""FHIRPath N1 as FHIR R4 uses it: parser, compiler to closures, and the values they work on; begin at `engine`."""
