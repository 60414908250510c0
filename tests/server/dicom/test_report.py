"""Structured reports as pages: whole, escaped, bounded."""

from __future__ import annotations

from typing import Any

from server.dicom import part10
from server.dicom.report import as_html, as_text, is_report


def sequence(*found: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(found)}


def value(vr: str, content: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [content]}


def report(said: str) -> dict[str, Any]:
    name = sequence({"00080104": value("LO", "Finding")})
    leaf = {"0040A040": value("CS", "TEXT"), "0040A043": name, "0040A160": value("UT", said)}
    unit = sequence({"00080100": value("SH", "mm")})
    measure = {
        "0040A040": value("CS", "NUM"),
        "0040A043": name,
        "0040A300": sequence({"0040A30A": value("DS", 12.5), "004008EA": unit}),
    }
    return {
        "0040A043": sequence({"00080104": value("LO", "Chest <CT>")}),
        "00100010": value("PN", {"Alphabetic": "Doe^Jane"}),
        "0040A730": sequence(
            {"0040A040": value("CS", "CONTAINER"), "0040A043": name, "0040A730": sequence(leaf, measure)}
        ),
    }


def test_a_report_is_text_and_nothing_in_it_is_markup() -> None:
    page = as_html(report("<script>alert(1)</script>\nnext")).decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Chest &lt;CT&gt;" in page
    assert "12.5 mm" in page
    assert page.count("<ul>") == page.count("</ul>")


def test_as_plain_text_it_says_the_same() -> None:
    plain = as_text(report("all clear")).decode()
    assert "Finding: all clear" in plain
    assert "Patient: Doe^Jane" in plain
    assert "12.5 mm" in plain


def test_a_deep_report_is_cut_off() -> None:
    nested: dict[str, Any] = {}
    for _ in range(500):
        nested = {"0040A040": value("CS", "CONTAINER"), "0040A730": sequence(nested)}
    assert len(as_html(nested)) < 5000


def test_a_long_report_is_cut_off() -> None:
    line = {"0040A040": value("CS", "TEXT"), "0040A160": value("UT", "x")}
    assert as_html({"0040A730": sequence(*[line] * 30_000)}).count(b"<li>") == 20_000


def test_reports_of_the_corpus_are_rendered(shared: Any, corpus: list[dict[str, Any]]) -> None:
    done = 0
    for entry in corpus:
        if ".5.1.4.1.1.88." in (entry["sop_class"] or "") and entry["expected"] == "store":
            dataset = part10.scan((shared / "data/dicom" / entry["path"]).read_bytes()).dataset
            assert is_report(dataset)
            assert (b"<li>" in as_html(dataset)) is bool(dataset.get("0040A730", {}).get("Value"))
            done += 1
    assert done >= 5
