"""Searches by date: prefixes, precision, zones, periods and times that repeat (FHIR R4 3.1.1.4.7)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource
from conformance.kit.fhir.shelf import Shelf, each_one

dates = Section()


def observation(**effective: object) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "something"}, **effective}


def at(moment: str) -> Resource:
    return observation(effectiveDateTime=moment)


def during(start: str | None = None, end: str | None = None) -> Resource:
    period = {name: value for name, value in (("start", start), ("end", end)) if value}
    return observation(effectivePeriod=period)


@dates.check("S20", "search.html#date")
def finds_what_lies_within_a_day(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        midnight=at("2013-01-14T00:00:00Z"),
        ten=at("2013-01-14T10:00:00Z"),
        next=at("2013-01-15T00:00:00Z"),
        day=at("2013-01-14"),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=2013-01-14": "midnight ten day",
            "date=eq2013-01-14": "midnight ten day",
            "date=ne2013-01-14": "next",
            "date=lt2013-01-14T10:00:00Z": "midnight day",
            "date=gt2013-01-14T10:00:00Z": "next day",
            "date=ge2013-01-15": "next",
            "date=le2013-01-14": "midnight ten day",
        },
    )


@dates.check("S21", "search.html#date")
def knows_open_periods(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        since21=during("2013-01-21"),
        since0315=during("2013-03-15"),
        until=during(None, "2013-01-31"),
        closed=during("2013-03-14T08:00:00Z", "2013-03-14T09:00:00Z"),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=2013-03-14": "closed",
            "date=ge2013-03-14": "since21 since0315 closed",
            "date=le2013-03-14": "since21 until closed",
            "date=sa2013-03-14": "since0315",
            "date=eb2013-03-14": "until",
            "date=gt2013-03-14": "since21 since0315",
            "date=lt2013-03-14": "since21 until",
            "date=ne2013-03-14": "since21 since0315 until",
        },
    )


@dates.check("T06", "search.html#prefix")
def takes_containment_for_equality(fhir: Fhir) -> None:
    born = {"year": "1980", "month": "1980-05", "day": "1980-05-11"}
    shelf = Shelf(fhir, **each_one({"resourceType": "Patient"}, "birthDate", born))
    shelf.finds_all(
        "Patient?",
        {
            "birthdate=1980-05-11": "day",
            "birthdate=1980-05": "month day",
            "birthdate=1980": "year month day",
            "birthdate=sa1979": "year month day",
            "birthdate=eb1981": "year month day",
            "birthdate=ge1980-05-12": "year month",
            "birthdate=lt1980-05-11": "year month",
        },
    )


@dates.check("S23", "search.html#date")
def reads_every_written_form_of_a_date(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        early=at("2013-01-14T10:00:10.500Z"),
        late=at("2013-01-14T10:01:00Z"),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=2013-01-14T10:00Z": "early",
            "date=2013-01-14T10:00": "early",
            "date=2013-01-14T10%3A00%3A10Z": "early",
            "date=2013-01-14T10:00:10.5Z": "early",
            "date=2013-01-14T10:00:10.500Z": "early",
            "date=ge2013-01-14T10:00:10.500000Z": "early late",
            "date=gt2013-01-14T10:00:10.999999999Z": "late",
            "date=2013-01-14T11:01%2B01:00": "late",
        },
    )


@dates.check("S23", "search.html#date")
def refuses_dates_that_are_none(fhir: Fhir) -> None:
    shelf = Shelf(fhir)
    wrong = ("2013-01-14T10", "2013-02-30", "0000", "yesterday", "2013-1-1", "20130114", "2013-01-14T25:00", "gt")
    shelf.refuses(*(f"Observation?date={each}" for each in wrong))
    shelf.refuses("Observation?date=xx2013-01-14", "Observation?_lastUpdated=soon", "Observation?date=2013,tomorrow")


@dates.check("S24", "search.html#date")
def compares_offsets_as_instants(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        east=at("2013-01-15T01:00:00+08:00"),
        utc=at("2013-01-14T17:00:00Z"),
        west=at("2013-01-14T23:30:00-05:00"),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=2013-01-14T17:00:00Z": "east utc",
            "date=2013-01-15T01:00:00%2B08:00": "east utc",
            "date=gt2013-01-15T00:00:00Z": "west",
            "date=lt2013-01-14T18:00:00Z": "east utc",
        },
    )


@dates.check("T08", "search.html#date")
def compares_pure_dates_without_zones(fhir: Fhir) -> None:
    shelf = Shelf(fhir, born={"resourceType": "Patient", "birthDate": "1990-03-01"})
    shelf.finds_all(
        "Patient?",
        {
            "birthdate=1990-03-01": "born",
            "birthdate=ge1990-03-01": "born",
            "birthdate=le1990-03-01": "born",
            "birthdate=lt1990-03-01": "",
            "birthdate=gt1990-03-01": "",
        },
    )


@dates.check("S26", "search.html#date")
def takes_repeated_dates_as_independent(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        long=during("2013-01-01T00:00:00Z", "2013-12-31T00:00:00Z"),
        early=during("2013-01-01T00:00:00Z", "2013-02-01T00:00:00Z"),
        point=at("2013-06-15T12:00:00Z"),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=ge2013-06&date=le2013-06": "long point",
            "date=gt2013-06&date=lt2013-06": "long",
            "date=ge2013-06-01,lt2013-01-02": "long early point",
        },
    )


@dates.check("T07", "search.html#date")
def bounds_timings_by_all_their_events(fhir: Fhir) -> None:
    events = ["2013-05-01T08:00:00Z", "2013-05-03T08:00:00Z", "2013-05-05T08:00:00Z"]
    bounds = {"repeat": {"boundsPeriod": {"end": "2013-04-01"}}}
    shelf = Shelf(
        fhir,
        thrice=observation(effectiveTiming={"event": events}),
        bounded=observation(effectiveTiming=bounds),
    )
    shelf.finds_all(
        "Observation?",
        {
            "date=2013-05": "thrice",
            "date=2013-05-03": "",
            "date=gt2013-05-04": "thrice",
            "date=lt2013-05-02": "thrice bounded",
            "date=le2013-03-01": "bounded",
            "date=sa2013-05-05": "",
        },
    )


@dates.check("S28", "search.html#lastUpdated")
def searches_by_last_update(fhir: Fhir) -> None:
    shelf = Shelf(fhir, first=at("2013-01-14"))
    updated = fhir.read(f"/{shelf['first']}")["meta"]["lastUpdated"].replace("+", "%2B")
    shelf.finds_all(
        "Observation?",
        {
            f"_lastUpdated={updated}": "first",
            f"_lastUpdated=ge{updated}": "first",
            f"_lastUpdated=le{updated}": "first",
            f"_lastUpdated=gt{updated}": "",
            f"_lastUpdated=lt{updated}": "",
            "_lastUpdated=ge2020-01-01": "first",
            "_lastUpdated=lt2020-01-01": "",
        },
    )


@dates.check("S20", "search.html#prefix")
def widens_approximate_dates(fhir: Fhir) -> None:
    """By a tenth of the distance to now: years for what is decades ago, hours for what was days ago."""
    shelf = Shelf(
        fhir,
        near=at("2001-01-01"),
        far=at("1980-01-01"),
    )
    shelf.finds("Observation?date=ap2000-06-01", "near")
    shelf.finds("Observation?date=ap1980-06-01", "far")
