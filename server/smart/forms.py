"""Parameters of the protocol's endpoints: each at most once, and none that is blank (RFC 6749 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from server.smart.refusals import refusal

_LONGEST = 16_384
_MOST = 64

Form: TypeAlias = Mapping[str, str]


def read_form(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`invalid_request` for what is repeated, too much or too long. A parameter without a value was not sent."""
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise refusal("invalid_request", "A parameter is there more than once.")
        if len(value) > _LONGEST or len(form) >= _MOST:
            raise refusal("invalid_request", "The parameters are too long, or too many.")
        form[name] = value
    return {name: value for name, value in form.items() if value}
