"""The one error of this package, and its kind for what costs too much."""

from __future__ import annotations


class FhirPathError(ValueError):
    """An expression that cannot be read or cannot be evaluated; the text never holds a value of the resource."""


class TooCostlyError(FhirPathError):
    """An evaluation that would take more work than its limits allow."""
