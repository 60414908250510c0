"""Puts the authorization server together: people, clients, keys, tokens and pages over one set of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from zoneinfo import ZoneInfo

from server.audit.writes import Recording
from server.fusion.patient_picker import PatientPicker
from server.kernel import supervision
from server.kernel.clock import HOUR, MINUTE, Clock
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from server.oauth.documents import Documents
from server.oauth.pages import open_pages
from server.oauth.surface import OAuth
from server.settings import Settings
from server.smart.approvals import Approvals
from server.smart.assertions import Assertions
from server.smart.authority import Authority
from server.smart.bearer import Bearer
from server.smart.brands import Brands
from server.smart.client_authentication import ClientAuthentication
from server.smart.client_keys import ClientKeys, HttpPublisher
from server.smart.consenting import Consents
from server.smart.discovery import Discovery
from server.smart.id_tokens import IdTokens
from server.smart.introspection import Introspection
from server.smart.keys import KeyRing
from server.smart.launches import Launches
from server.smart.origins import ClientOrigins
from server.smart.passwords import Cost
from server.smart.people import People, PeopleOptions, open_people
from server.smart.registration import Policy as RegistrationPolicy
from server.smart.registration import Registration
from server.smart.revocation import Revocation
from server.smart.second_factors import Policy
from server.smart.sessions import Lifetimes
from server.smart.stores import SmartStore
from server.smart.sweeping import Sweeper
from server.smart.tokens import Tokens
from server.smart.users import Users
from storage.ports import Records


@dataclass(frozen=True, slots=True)
class Authorization:
    """What knows users and clients."""

    settings: Settings
    clock: Clock
    offload: Offload
    store: SmartStore
    recording: Recording
    people: People
    ring: KeyRing
    bearer: Bearer
    origins: ClientOrigins

    @property
    def users(self) -> Users:
        return self.people.users

    @property
    def approvals(self) -> Approvals:
        return self.people.approvals

    def surface(self, patients: PatientPicker, consents: Consents) -> OAuth:
        """Everything below `/oauth`."""
        store, clock, recording = self.store, self.clock, self.recording
        authority, authentication = Authority(store, clock, recording, consents=consents), self._authentication()
        id_tokens = IdTokens(self.ring, clock, self.offload)
        policy = cast(RegistrationPolicy, self.settings.registration)
        zone = ZoneInfo(self.settings.time_zone)
        return OAuth(
            authority=authority,
            tokens=Tokens(store, clock, authentication, id_tokens, self.people.live, recording, consents=consents),
            introspection=Introspection(store, clock, authentication, recording, consents),
            revocation=Revocation(store, clock, authentication, recording),
            registration=Registration(store, clock, recording, policy),
            launches=Launches(store, clock),
            bearer=self.bearer,
            pages=open_pages(self.people, authority, patients, recording, clock, zone, self.settings.organization),
            documents=self.documents(),
        )

    def documents(self) -> Documents:
        name, website = self.settings.organization, self.settings.organization_url.rstrip("/")
        discovery = Discovery(self.settings.registration != "off", website)
        return Documents(discovery, self.ring, Brands(self.store.records, self.clock, name, website))

    def workers(self) -> Mapping[str, supervision.Worker]:
        return {"sweeping": Sweeper(self.store, self.clock, (self.people.sessions.sweep,)).run}

    def close(self) -> None:
        self.people.close()

    def _authentication(self) -> ClientAuthentication:
        publisher = HttpPublisher(Hosts.parse(self.settings.client_key_hosts))
        keys = ClientKeys(publisher, self.clock)
        return ClientAuthentication(self.store, Assertions(self.store, self.clock, keys, self.offload))


async def open_authorization(
    settings: Settings, records: Records, recording: Recording, clock: Clock, offload: Offload
) -> Authorization:
    store = SmartStore(records)
    lifetimes = Lifetimes(settings.session_idle_minutes * MINUTE, settings.session_hours * HOUR)
    # Without sign-in no password is made or checked, so nothing need be costly.
    cost = Cost() if settings.auth != "off" else Cost(memory=8)
    options = PeopleOptions(policy=Policy(settings.second_factor), lifetimes=lifetimes, cost=cost)
    return Authorization(
        settings=settings,
        clock=clock,
        offload=offload,
        store=store,
        recording=recording,
        people=await open_people(store, recording, clock, options),
        ring=KeyRing(records, clock, offload),
        bearer=Bearer(store, clock),
        origins=ClientOrigins(store, clock),
    )
