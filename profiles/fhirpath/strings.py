"""Functions on strings (N1, 5.6), and those the next edition of FHIRPath adds.

Patterns come from stored profiles and may be of the kind that a backtracking matcher needs exponential time for. Nested
quantifiers cannot be refused, R4's own `eld-19` has them; so each match runs under a time limit, which is what the
`regex` library offers and `re` does not.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import perf_counter
from urllib.parse import quote, unquote

import regex

from profiles.fhirpath.errors import FhirPathError, TooCostlyError
from profiles.fhirpath.nodes import Items, Node, boolean, integer, text
from profiles.fhirpath.plan import Function, Plain, single
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.subsets import whole_number

MAX_PATTERN = 2_000
_STEPS_PER_SECOND = 2_000_000

_JSON_ESCAPE = regex.compile(r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})')


def string_of(items: Items) -> str | None:
    node = single(items)
    if node is None or node.value is None:
        return None
    if type(node.value) is not str:
        raise FhirPathError("A string is needed here.")
    return node.value


def _of_strings(compute: Callable[..., str | bool | int]) -> Function:
    """A function of strings alone: empty as soon as one of them is."""

    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        given = [string_of(each) for each in (items, *arguments)]
        if None in given:
            return []
        result = compute(*given)
        if isinstance(result, str):
            return [_bounded(scope, result)]
        return [boolean(result) if isinstance(result, bool) else integer(result)]

    return run


def _bounded(scope: Scope, result: str) -> Node:
    scope.text_of_length(len(result))
    return text(result)


@lru_cache(1024)
def compiled(pattern: str) -> regex.Pattern[str]:
    """A pattern in single-line mode: the dot takes line breaks too."""
    if len(pattern) > MAX_PATTERN:
        raise FhirPathError("A regular expression is too long.")
    try:
        return regex.compile(pattern, regex.DOTALL)
    except (regex.error, OverflowError, RecursionError):
        raise FhirPathError("A regular expression cannot be read.") from None


def is_match(scope: Scope, subject: str, pattern: regex.Pattern[str], *, whole: bool = False) -> bool:
    match, start = pattern.fullmatch if whole else pattern.search, perf_counter()
    try:
        return match(subject, timeout=scope.environment.limits.regex_seconds) is not None
    except TimeoutError:
        raise TooCostlyError("A regular expression takes too much time.") from None
    finally:
        scope.left -= int((perf_counter() - start) * _STEPS_PER_SECOND)


def _matching(whole: bool) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        subject, pattern = string_of(items), string_of(arguments[0])
        if subject is None or pattern is None:
            return []
        return [boolean(is_match(scope, subject, compiled(pattern), whole=whole))]

    return run


def replace_matches(scope: Scope, items: Items, pattern: Items, replacement: Items) -> Items:
    subject, wanted, by = string_of(items), string_of(pattern), string_of(replacement)
    if subject is None or wanted is None or by is None:
        return []
    if not wanted:
        return [text(subject)]
    template = regex.sub(r"\$(?:(\d)|\{(\w+)\})", lambda found: rf"\g<{found[1] or found[2]}>", by.replace("\\", r"\\"))
    try:
        result = compiled(wanted).sub(template, subject, timeout=scope.environment.limits.regex_seconds)
    except TimeoutError:
        raise TooCostlyError("A regular expression takes too much time.") from None
    except (regex.error, IndexError):
        raise FhirPathError("A replacement names a group that the pattern has not.") from None
    return [_bounded(scope, result)]


def substring(scope: Scope, items: Items, start: Items, length: Items | None = None) -> Items:
    subject, begin = string_of(items), whole_number(start)
    if subject is None or begin is None or not 0 <= begin < len(subject):
        return []
    size = whole_number(length) if length is not None else None
    return [text(subject[begin:] if size is None else subject[begin : begin + max(0, size)])]


def replace(scope: Scope, items: Items, pattern: Items, replacement: Items) -> Items:
    subject, wanted, by = string_of(items), string_of(pattern), string_of(replacement)
    if subject is None or wanted is None or by is None:
        return []
    scope.text_of_length(len(subject) + subject.count(wanted) * len(by))
    return [text(subject.replace(wanted, by))]


def to_chars(scope: Scope, items: Items) -> Items:
    subject = string_of(items) or ""
    scope.spend(len(subject))
    return [text(each) for each in subject]


def split(scope: Scope, items: Items, separator: Items) -> Items:
    subject, mark = string_of(items), string_of(separator)
    if subject is None or mark is None:
        return []
    found = subject.split(mark) if mark else list(subject)
    scope.spend(len(found))
    return [text(each) for each in found]


def join(scope: Scope, items: Items, separator: Items | None = None) -> Items:
    mark = string_of(separator) if separator is not None else ""
    if not items or mark is None:
        return []
    strings = [string_of([each]) or "" for each in items]
    scope.text_of_length(sum(map(len, strings)) + len(mark) * len(strings))
    return [text(mark.join(strings))]


def _encode(subject: str, form: str) -> str:
    data = subject.encode()
    match form:
        case "hex":
            return data.hex()
        case "base64":
            return base64.b64encode(data).decode()
        case "urlbase64":
            return base64.urlsafe_b64encode(data).decode()
        case "url":
            return quote(subject, safe="")
    raise FhirPathError("There is no such encoding.")


def _decode(subject: str, form: str) -> str:
    try:
        match form:
            case "hex":
                return bytes.fromhex(subject).decode()
            case "base64":
                return base64.b64decode(subject, validate=True).decode()
            case "urlbase64":
                return base64.urlsafe_b64decode(subject).decode()
            case "url":
                return unquote(subject)
    except (ValueError, binascii.Error):
        raise FhirPathError("The text is not in this encoding.") from None
    raise FhirPathError("There is no such encoding.")


def _escape(subject: str, target: str) -> str:
    if target == "html":
        return html.escape(subject)
    if target == "json":
        return json.dumps(subject, ensure_ascii=False)[1:-1]
    raise FhirPathError("There is no such escape.")


def _unescape(subject: str, target: str) -> str:
    if target == "html":
        return html.unescape(subject)
    if target != "json":
        raise FhirPathError("There is no such escape.")
    return str(_JSON_ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), subject))


FUNCTIONS: Mapping[str, Plain] = {
    "indexOf": Plain(_of_strings(str.find), 1, 1),
    "lastIndexOf": Plain(_of_strings(str.rfind), 1, 1),
    "substring": Plain(substring, 1, 2),
    "startsWith": Plain(_of_strings(str.startswith), 1, 1),
    "endsWith": Plain(_of_strings(str.endswith), 1, 1),
    "contains": Plain(_of_strings(lambda subject, part: part in subject), 1, 1),
    "upper": Plain(_of_strings(str.upper)),
    "lower": Plain(_of_strings(str.lower)),
    "replace": Plain(replace, 2, 2),
    "matches": Plain(_matching(False), 1, 2),
    "matchesFull": Plain(_matching(True), 1, 2),
    "replaceMatches": Plain(replace_matches, 2, 2),
    "length": Plain(_of_strings(len)),
    "toChars": Plain(to_chars),
    "trim": Plain(_of_strings(str.strip)),
    "split": Plain(split, 1, 1),
    "join": Plain(join, 0, 1),
    "encode": Plain(_of_strings(_encode), 1, 1),
    "decode": Plain(_of_strings(_decode), 1, 1),
    "escape": Plain(_of_strings(_escape), 1, 1),
    "unescape": Plain(_of_strings(_unescape), 1, 1),
}
