"""The conformance resources Weft authors: profiles, extensions, terminology, search parameters and an operation."""
