"""A report without a document of its own as plain text: what any consumer of documents can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from profiles.china.names import is_ideographic
from server.fhir.json_form import Resource

_WORDS = {
    "zh": ("报告状态", "检查日期", "报告时间", "结果", "诊断意见"),
    "en": ("Status", "Examined", "Issued", "Results", "Conclusion"),
}
_STATES = {"final": "最终报告", "amended": "已修订", "corrected": "已更正", "appended": "已补充"}
_UNITLESS = {"{score}", "1", ""}


def report_text(report: Resource, results: Sequence[Resource]) -> str:
    """`results`: the Observations it names, as far as they are here."""
    conclusion = str(report.get("conclusion", ""))
    conclusions = [_said(each) for each in report.get("conclusionCode", ())]
    findings = [line for each in results for line in _lines(each)]
    told = "".join((conclusion, *conclusions, *findings, _said(report.get("code", {}))))
    is_chinese = any(is_ideographic(each) for each in told)
    status, examined, issued, results_word, conclusion_word = _WORDS["zh" if is_chinese else "en"]
    state = str(report.get("status", ""))
    period = report.get("effectivePeriod", {})
    head = (
        (status, _STATES.get(state, state) if is_chinese else state),
        (examined, report.get("effectiveDateTime") or period.get("start", "")),
        (issued, report.get("issued", "")),
    )
    lines = [_said(report.get("code", {})), *(f"{name}: {value}" for name, value in head if value)]
    if findings:
        lines += ["", f"{results_word}:", *findings]
    if conclusion or any(conclusions):
        lines += ["", f"{conclusion_word}:", *(each for each in (conclusion, *conclusions) if each)]
    return "\n".join(lines).strip() + "\n"


def _lines(observation: Resource) -> Iterator[str]:
    name = _said(observation.get("code", {}))
    value = _value(observation)
    if value:
        yield f"{name}: {value}" if name else value
    for each in observation.get("component", ()):
        if part := _value(each):
            yield f"  {_said(each.get('code', {}))}: {part}"
    for note in observation.get("note", ()):
        yield str(note.get("text", ""))


def _value(held: Mapping[str, Any]) -> str:
    for name, value in held.items():
        match name:
            case "valueString" | "valueInteger" | "valueBoolean" | "valueDateTime" | "valueTime":
                return str(value)
            case "valueQuantity":
                unit = str(value.get("unit") or value.get("code", ""))
                amount = f"{value.get('comparator', '')}{value.get('value', '')}"
                return amount if unit in _UNITLESS else f"{amount} {unit}"
            case "valueCodeableConcept":
                return _said(value)
    return ""


def _said(concept: Mapping[str, Any]) -> str:
    codings = concept.get("coding") or [{}]
    return str(concept.get("text") or codings[0].get("display") or codings[0].get("code", ""))
