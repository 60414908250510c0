"""What one patient's consents say, told on keys written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.consent.compiling import Compiler
from server.access.consent.judging import OPEN, SHUT, Asker, judge, judge_own
from server.access.consent.policies import CLINICIANS, Policy, Site, policy_named
from server.access.consent.purposes import covers, with_wider
from server.access.consent.rule import Rule, Terms
from storage.query import matches
from tests.data.consents import TPO, consent, deny, permit

DAY = 86_400_000_000
SITE = Site()
N, R, V = frozenset((3,)), frozenset((4,)), frozenset((5,))
NORMAL: dict[str, frozenset[Any]] = {"_id": frozenset(("n",)), "@level": N, "@label": frozenset(("N",))}
PSY: dict[str, frozenset[Any]] = {"_id": frozenset(("psy",)), "@level": R, "@label": frozenset(("R", "PSY", "SPI"))}
ETHUD: dict[str, frozenset[Any]] = {"_id": frozenset(("eth",)), "@level": R, "@label": frozenset(("ETHUD", "ETH"))}
BARE: dict[str, frozenset[Any]] = {"_id": frozenset(("bare",))}


def spans(text: str) -> tuple[int, int]:
    year = int(text[:4]) - 1970
    return year * 365 * DAY, (year + 1) * 365 * DAY


_NAMES = ("type", "purpose", "actor", "data", "period", "provision", "code", "reference", "coding", "role", "meaning")
COMPILER = Compiler(spans, lambda text: text)


def compiled(resource: Any) -> Rule:
    rule = COMPILER.compile(resource)
    assert rule is not None
    return rule


def terms(*resources: Any) -> list[Terms]:
    found = [compiled(each).at(0) for each in resources]
    return [each for each in found if each is not None]


def asker(name: str = "Practitioner/a", purpose: str = "TREAT", *names: str) -> Asker:
    return Asker(frozenset((name, *names)), name, frozenset(("radiologist",)), purpose)


def sees(resource: Any, keys: dict[str, frozenset[Any]], who: Asker, site: Site = SITE) -> bool:
    return matches(judge(terms(resource), who, site).predicate("Observation", site), keys)


def test_a_purpose_is_covered_by_what_lies_above_it() -> None:
    assert with_wider("BTG") == {"BTG", "ETREAT", "TREAT", "PurposeOfUse"}
    assert covers(("HRESCH",), "CLINTRCHPC")
    assert not covers(("CLINTRCHPC",), "HRESCH")
    assert covers(("FooBar",), "FooBar")
    assert not covers(None, "")


def test_the_policies_go_by_their_canonical_names() -> None:
    assert policy_named("https://profiles.ihe.net/ITI/PCF/Policy-deny") is Policy.DENY
    assert policy_named("http://profiles.ihe.net/ITI/PCF/Policy-basic-normal") is Policy.BASIC_NORMAL
    assert policy_named("urn:oid:1.2.3") is None
    assert policy_named("https://else.example/Policy-deny") is None


def test_what_is_agreed_to_is_open_and_what_is_rejected_shut() -> None:
    assert judge(terms(consent(permit(TPO))), asker(), SITE) == OPEN
    assert judge(terms(consent(deny(TPO))), asker(), SITE) == SHUT
    assert judge(terms(consent(permit(TPO, actors=["Practitioner/a"]))), asker("Practitioner/b"), SITE) == SHUT


def test_a_purpose_nobody_spoke_of_is_the_policys_or_nobodys() -> None:
    research = asker(purpose="HRESCH")
    agreed = terms(consent(permit(TPO)))
    assert judge(agreed, research, SITE) == OPEN
    assert judge(agreed, research, Site(Policy.DENY)) == SHUT
    assert judge(agreed, research, Site(is_whole=True)) == SHUT
    assert judge(agreed, asker(purpose=""), SITE) == SHUT


def test_who_bars_one_bars_no_other() -> None:
    barred = terms(consent(deny(actors=["Practitioner/b"])))
    assert judge(barred, asker("Practitioner/b"), SITE) == SHUT
    assert judge(barred, asker("Practitioner/a"), SITE) == OPEN
    assert judge(barred, asker("Practitioner/a"), Site(is_whole=True)) == SHUT


def test_an_exception_replaces_its_root_and_prohibitions_win() -> None:
    urgent = consent(deny(nested=[permit(["BTG"], actors=["Group/g"])]))
    assert judge(terms(urgent), asker("Practitioner/a", "BTG", "Group/g"), SITE) == OPEN
    assert judge(terms(urgent), asker("Practitioner/a", "BTG"), SITE) == SHUT
    assert judge(terms(urgent), asker("Practitioner/a", "TREAT", "Group/g"), SITE) == SHUT
    both = terms(consent(permit(TPO)), consent(deny(["HPAYMT"])))
    assert judge(both, asker(purpose="HPAYMT"), SITE) == SHUT
    assert judge(both, asker(), SITE) == OPEN


def test_levels_are_in_order_and_sensitivities_cover_what_is_below() -> None:
    upto_normal, upto_restricted = consent(permit(TPO, labels=["N"])), consent(permit(TPO, labels=["N", "R"]))
    assert [sees(upto_normal, each, asker()) for each in (NORMAL, PSY, BARE)] == [True, False, True]
    assert [sees(upto_restricted, each, asker()) for each in (NORMAL, PSY, {"@level": V})] == [True, True, False]
    without_eth = consent(permit(TPO, nested=[deny(labels=["ETH"])]))
    assert [sees(without_eth, each, asker()) for each in (NORMAL, PSY, ETHUD, BARE)] == [True, True, False, True]
    focused = consent(permit(TPO, labels=["N"], nested=[permit(labels=["PSY"], actors=["Practitioner/a"])]))
    assert [sees(focused, each, asker()) for each in (NORMAL, PSY, ETHUD)] == [True, True, False]
    assert not sees(focused, PSY, asker("Practitioner/b"))


def test_what_has_no_label_is_restricted_where_the_site_says_so() -> None:
    site = Site(unlabelled_is_restricted=True)
    assert not sees(consent(permit(TPO, labels=["N"])), BARE, asker(), site)
    assert sees(consent(permit(TPO, labels=["R"])), BARE, asker(), site)
    assert not sees(consent(permit(TPO, nested=[deny(labels=["PSY"])])), BARE, asker(), site)


def test_a_period_permits_what_lies_within_and_bars_what_touches_it() -> None:
    start, end = spans("2022")
    within: dict[str, frozenset[Any]] = {"@when": frozenset((start,)), "@when:end": frozenset((start + 1,))}
    across: dict[str, frozenset[Any]] = {"@when": frozenset((start,)), "@when:end": frozenset((end + 1,))}
    after: dict[str, frozenset[Any]] = {"@when": frozenset((end,)), "@when:end": frozenset((end + 1,))}
    only = consent(permit(TPO, within=("2022", "2022")))
    assert [sees(only, each, asker()) for each in (within, across, after, BARE)] == [True, False, False, False]
    but = consent(permit(TPO, nested=[deny(within=("2022", "2022"))]))
    assert [sees(but, each, asker()) for each in (within, across, after, BARE)] == [False, False, True, False]


def test_data_are_named_by_themselves_their_author_or_their_encounter() -> None:
    by_a: dict[str, frozenset[Any]] = {"_id": frozenset(("n",)), "@author": frozenset(("Practitioner/a",))}
    by_b: dict[str, frozenset[Any]] = {"_id": frozenset(("m",)), "@author": frozenset(("Practitioner/b",))}
    related: dict[str, frozenset[Any]] = {"@related": frozenset(("Encounter/e",))}
    cases = (
        (permit(TPO, data=[("instance", "Observation/n")]), [True, False, False, False]),
        (permit(TPO, nested=[deny(data=[("instance", "Observation/n")])]), [False, True, True, True]),
        (permit(TPO, data=[("authoredby", "Practitioner/a")]), [True, False, False, False]),
        (permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/a")])]), [False, True, False, False]),
        (permit(TPO, nested=[deny(data=[("related", "Encounter/e")])]), [True, True, False, True]),
    )
    for provision, expected in cases:
        assert [sees(consent(provision), each, asker()) for each in (by_a, by_b, related, BARE)] == expected


def test_a_consent_may_only_name_a_policy() -> None:
    named = {"policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}]}
    for resource in (consent(None) | named, consent(permit()) | named):
        assert judge(terms(resource), asker(), Site(Policy.DENY)) == OPEN
        assert judge(terms(resource), asker(purpose="HPAYMT"), SITE) == SHUT
        assert judge(terms(resource), Asker(frozenset(), "", frozenset(("system",)), "TREAT"), SITE) == SHUT
    assert "radiologist" in CLINICIANS


def test_own_access_ends_only_where_somebody_is_barred_by_name() -> None:
    parent = asker("RelatedPerson/p")
    assert judge_own(terms(consent(deny())), parent) == OPEN
    assert judge_own(terms(consent(deny(actors=["RelatedPerson/p"]))), parent) == SHUT
    partly = judge_own(terms(consent(deny(actors=["RelatedPerson/p"], labels=["PSY"]))), parent)
    assert matches(partly.predicate("Observation", SITE), NORMAL)
    assert not matches(partly.predicate("Observation", SITE), PSY)


@pytest.mark.parametrize(
    "flawed",
    [
        consent(permit(TPO)) | {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        consent(permit(TPO)) | {"implicitRules": "urn:x"},
        consent(permit(TPO, nested=[deny(nested=[permit()])])),
        consent(permit(TPO) | {"action": [{"coding": [{"code": "access"}]}]}),
        consent(permit(TPO) | {"class": [{"code": "Observation"}]}),
        consent(permit(TPO, nested=[{"purpose": [{"code": "TREAT"}]}])),
        consent(permit(TPO, data=[("dependents", "Observation/n")])),
        consent(permit(TPO, data=[("related", "Observation/n")])),
        consent(permit(TPO, data=[("instance", "#here")])),
        consent(permit(TPO, actors=[""])),
        consent({"purpose": [{"code": "TREAT"}]}),
        consent(None) | {"policy": [{"uri": "urn:oid:1.2.3"}]},
        consent(permit(TPO)) | {"scope": {"coding": [{"code": "of-our-own"}]}},
        consent(permit(TPO)) | {"verification": [{"verified": False}]},
    ],
)
def test_what_is_not_understood_forbids(flawed: Any) -> None:
    rule = compiled(flawed)
    assert rule.flaw
    assert judge(terms(flawed), asker(), SITE) == SHUT


@pytest.mark.parametrize(
    "silent",
    [
        consent(deny()) | {"status": "inactive"},
        consent(deny()) | {"status": "entered-in-error", "modifierExtension": [{"url": "urn:x"}]},
        consent(deny())
        | {
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]}
        },
        {name: value for name, value in consent(deny()).items() if name != "patient"},
    ],
)
def test_what_is_not_about_seeing_data_says_nothing(silent: Any) -> None:
    assert COMPILER.compile(silent) is None


def test_a_root_without_type_takes_it_from_its_rule() -> None:
    for code, expected in (("OPTIN", OPEN), ("OPTOUT", SHUT)):
        resource = consent({"purpose": [{"code": "TREAT"}]}) | {"policyRule": {"coding": [{"code": code}]}}
        assert judge(terms(resource), asker(), SITE) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(_NAMES)), inner, max_size=4),
        max_leaves=12,
    )
)
def test_no_shape_of_a_consent_opens_anything_or_breaks(provision: Any) -> None:
    rule = COMPILER.compile(consent(permit(TPO)) | {"provision": provision})
    assert rule is not None


_PROVISIONS = st.builds(
    lambda kind, purposes, actors, labels: kind(purposes, actors=actors, labels=labels),
    st.sampled_from([permit, deny]),
    st.sampled_from([None, TPO, ["HRESCH"], ["BTG"]]),
    st.sampled_from([None, ["Practitioner/a"], ["Practitioner/b"]]),
    st.sampled_from([None, ["N"], ["R"], ["PSY"], ["ETH"]]),
)
_PROHIBITIONS = st.builds(
    lambda purposes, actors, labels: deny(purposes, actors=actors, labels=labels),
    st.sampled_from([None, TPO, ["HRESCH"]]),
    st.sampled_from([None, ["Practitioner/a"], ["Practitioner/b"]]),
    st.sampled_from([None, ["N"], ["R"], ["PSY"], ["ETH"]]),
)


@given(
    st.lists(_PROVISIONS, min_size=1, max_size=3),
    _PROHIBITIONS,
    st.sampled_from(["TREAT", "HRESCH", "BTG", "HPAYMT", ""]),
    st.sampled_from(list(Policy)),
    st.booleans(),
)
def test_one_more_prohibition_never_shows_more(
    roots: list[Any], prohibition: Any, purpose: str, policy: Policy, is_whole: bool
) -> None:
    site, who = Site(policy, is_whole), asker(purpose=purpose)
    fewer = [consent(each) for each in roots]
    for more in ([*fewer, consent(prohibition)], [consent({**roots[0], "provision": [prohibition]}), *fewer[1:]]):
        before = judge(terms(*fewer), who, site).predicate("Observation", site)
        after = judge(terms(*more), who, site).predicate("Observation", site)
        for keys in (NORMAL, PSY, ETHUD, BARE):
            assert matches(before, keys) or not matches(after, keys)
