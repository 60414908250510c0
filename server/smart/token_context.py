"""The launch context beside a token: the same in every token response and in introspection (SMART App Launch 2.2)."""

from __future__ import annotations

from typing import Any

from server.smart.model import Approval
from server.smart.site import Site
from server.smart.style import STYLE_NAME


def context_of(approval: Approval, site: Site) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for name in ("patient", "encounter", "intent"):
        if value := getattr(approval, name):
            context[name] = value
    if approval.fhir_context:
        context["fhirContext"] = list(approval.fhir_context)
    if approval.need_patient_banner is not None:
        context["need_patient_banner"] = approval.need_patient_banner
        context["smart_style_url"] = site.oauth(f"style/{STYLE_NAME}")
    return context
