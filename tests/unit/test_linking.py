"""Providers beside a password: linked by who proves it, and by nobody else, on storage in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from core.domain.identity import Claims, IdentityProvider, providers_from
from core.domain.permissions import Role
from core.domain.tenants import OPERATOR, User
from core.errors import (
    CodeWrong,
    Conflict,
    Forbidden,
    LinkInvalid,
    NotFound,
    SignInFailed,
    Unauthenticated,
)
from core.usecases import identity, linking, second_factor, sessions
from core.usecases.linking import Found
from core.usecases.shared.code_flow import Begun
from core.usecases.shared.links import write_link
from core.usecases.shared.signing_in import IssuedSession
from tests.unit.people_support import ADA, BEN, CALLER, OTHER, PASSWORD, House

ACME, QUAY = "https://id.example", "https://quay.example"
BACK = "https://sort.example/sign-in/acme/callback"


@dataclass
class Providers:
    """Two of them. `subject` is who is signed in at each; a code is good once, for who began it with that nonce."""

    subject: str = "sub-1"
    state: str = ""
    used: list[str] = field(default_factory=list)
    _nonces: dict[str, str] = field(default_factory=dict)

    def all(self) -> Sequence[IdentityProvider]:
        written = [{"key": "acme", "title": "Acme", "issuer": ACME}, {"key": "quay", "issuer": QUAY}]
        return providers_from([one | {"client_id": "c"} for one in written])

    def get(self, key: str) -> IdentityProvider:
        found = next((one for one in self.all() if one.key == key), None)
        if found is None:
            raise NotFound("this provider does not exist")
        return found

    def sign_in_url(
        self, provider: IdentityProvider, *, redirect_uri: str, state: str, nonce: str, verifier: str
    ) -> str:
        self.state, self._nonces[state] = state, nonce
        return f"{provider.issuer}/authorize"

    def exchange(
        self, provider: IdentityProvider, *, code: str, redirect_uri: str, nonce: str, verifier: str
    ) -> Claims:
        if code in self.used or self._nonces.get(code) != nonce:
            raise Unauthenticated("this token is of another sign-in")
        self.used.append(code)
        return Claims(issuer=provider.issuer, subject=self.subject, email="", name="Ada at work", groups=())

    def verify(self, token: str) -> tuple[IdentityProvider, Claims]:
        raise Unauthenticated


class Linked(House):
    """A house with providers, where a flow's state is the code that answers it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.providers = Providers()

    @property
    def ports(self) -> dict[str, Any]:
        return super().ports | {"identities": self.providers}

    def begin(
        self, issued: IssuedSession, user: User, password: str = PASSWORD, code: str = "", key: str = "acme"
    ) -> Begun:
        begun: Begun = self.call(linking.begin_linking, issued.session, user, key, password, code, BACK, CALLER)
        return begun

    def answer(self, issued: IssuedSession, user: User, begun: Begun, state: str = "", key: str = "acme") -> Found:
        state = state or self.providers.state
        found: Found = self.call(linking.answer_linking, issued.session, user, key, begun.kept, state=state, code=state)
        return found

    def confirm(self, issued: IssuedSession, user: User, found: Found) -> IssuedSession:
        gone_on: IssuedSession = self.call(linking.link_identity, issued.session, user, found.token, CALLER)
        return gone_on

    def link(self, issued: IssuedSession, user: User, key: str = "acme") -> IssuedSession:
        return self.confirm(issued, user, self.answer(issued, user, self.begin(issued, user, key=key), key=key))

    def come_in(self, key: str = "acme") -> IssuedSession:
        """By the provider."""
        begun = self.call(identity.begin_identity_sign_in, key, BACK)
        state = self.providers.state
        finish = identity.finish_identity_sign_in
        issued, _ = self.call(finish, key, begun.kept, state=state, code=state, caller=CALLER)
        return issued


@pytest.fixture
def house() -> Linked:
    return Linked()


def test_who_proves_the_password_is_signed_in_by_the_provider_as_well(house: Linked) -> None:
    ada = house.member(role=Role.OWNER)
    here, there = house.sign_in(), house.sign_in()
    with pytest.raises(Forbidden):
        house.come_in()
    begun = house.begin(here, ada)
    found = house.answer(here, ada, begun)
    assert (found.title, found.name, found.email, found.subject) == ("Acme", "Ada at work", "", "sub-1")
    assert house.call(linking.list_linked, ada) == [], "nothing is linked before the person looked"
    gone_on = house.confirm(here, ada, found)
    assert house.call(linking.list_linked, ada) == [ACME]
    for ended in (here, there):
        with pytest.raises(Unauthenticated):
            house.at(ended)
    assert house.at(gone_on).user_id == ada.id
    assert gone_on.session.expires_at == here.session.expires_at
    by_provider = house.come_in()
    assert (by_provider.session.user_id, by_provider.session.via) == (ada.id, ACME)
    assert isinstance(house.sign_in(), IssuedSession), "the password still opens, too"
    [told] = house.storage.events(house.tenant, "IDENTITY_LINKED")
    assert (told.actor_id, told.subject_id, told.payload) == (ada.id, ada.id, {"via": ACME})


def test_a_wrong_password_sends_nobody_anywhere_and_counts(house: Linked) -> None:
    ada = house.member()
    issued = house.sign_in()
    for _ in range(5):
        with pytest.raises(SignInFailed):
            house.begin(issued, ada, OTHER)
    assert house.providers.state == ""
    with pytest.raises(SignInFailed):
        house.begin(issued, ada)
    assert house.told("ACCOUNT_LOCKED") == ["ACCOUNT_LOCKED"]


def test_who_has_a_second_factor_proves_it_before(house: Linked) -> None:
    ada, issued = house.member(), house.sign_in()
    begun = house.call(second_factor.begin_second_factor, ada)
    phone = pyotp.TOTP(begun.key)
    add = second_factor.add_second_factor
    code = phone.at(house.clock.now())
    issued, codes = house.call(add, issued.session, ada, begun.token, code, PASSWORD, CALLER)
    for wrong in ("", "000000", code):
        with pytest.raises(CodeWrong):
            house.begin(issued, ada, code=wrong)
    with pytest.raises(SignInFailed):
        house.begin(issued, ada, OTHER, codes[0])
    assert house.providers.state == ""
    house.clock.advance(timedelta(seconds=60))
    house.confirm(issued, ada, house.answer(issued, ada, house.begin(issued, ada, code=phone.at(house.clock.now()))))
    assert isinstance(house.come_in(), IssuedSession), "the provider asks for a second factor, or does not"


def test_no_other_person_or_session_ends_what_one_began(house: Linked) -> None:
    """Whoever gets somebody else's browser to answer has that one linked to nothing."""
    ada, mallory = house.member(), house.member(BEN)
    adas, mallorys = house.sign_in(), house.sign_in(email=BEN)
    by_mallory = house.begin(mallorys, mallory)
    with pytest.raises(LinkInvalid):
        house.answer(adas, ada, by_mallory)
    assert house.providers.used == [], "no code was used up for it"
    found = house.answer(mallorys, mallory, by_mallory)
    with pytest.raises(LinkInvalid):
        house.confirm(adas, ada, found)
    by_ada, state = house.begin(adas, ada), house.providers.state
    for wrong in ("another", house.begin(mallorys, mallory) and house.providers.state):
        with pytest.raises(LinkInvalid):
            house.answer(adas, ada, by_ada, str(wrong))
    again = house.sign_in()
    with pytest.raises(LinkInvalid):
        house.answer(again, ada, by_ada, state)
    found = house.answer(adas, ada, by_ada, state)
    with pytest.raises(LinkInvalid):
        house.confirm(again, ada, found)
    assert house.told("IDENTITY_LINKED") == []


def test_it_is_done_once_and_in_time(house: Linked) -> None:
    ada, issued = house.member(), house.sign_in()
    begun, state = house.begin(issued, ada), house.providers.state
    found = house.answer(issued, ada, begun, state)
    with pytest.raises(Unauthenticated):
        house.answer(issued, ada, begun, state)
    gone_on = house.confirm(issued, ada, found)
    house.call(linking.unlink_identity, ada, ACME, CALLER)
    for replayed in (
        lambda: house.answer(gone_on, ada, begun, state),
        lambda: house.confirm(gone_on, ada, found),
    ):
        with pytest.raises(LinkInvalid):
            replayed()
    begun = house.begin(gone_on, ada)
    house.clock.advance(timedelta(minutes=10))
    with pytest.raises(LinkInvalid):
        house.answer(gone_on, ada, begun)
    found = house.answer(gone_on, ada, house.begin(gone_on, ada))
    house.clock.advance(timedelta(minutes=10))
    with pytest.raises(LinkInvalid):
        house.confirm(gone_on, ada, found)


def test_what_was_begun_for_one_thing_is_no_answer_to_another(house: Linked) -> None:
    ada, issued = house.member(), house.sign_in()
    signing_in, state = house.call(identity.begin_identity_sign_in, "acme", BACK), house.providers.state
    with pytest.raises(LinkInvalid):
        house.answer(issued, ada, signing_in, state)
    begun, state = house.begin(issued, ada), house.providers.state
    finish = identity.finish_identity_sign_in
    with pytest.raises(LinkInvalid):
        house.call(finish, "acme", begun.kept, state=state, code=state, caller=CALLER)
    with pytest.raises(LinkInvalid):
        house.answer(issued, ada, begun, state, key="quay")
    says = {"key": "acme", "issuer": ACME, "subject": "sub-9", "user_id": str(ada.id)}
    says |= {"session_id": str(issued.session.id)}
    until = house.clock.now() + timedelta(hours=1)
    for purpose in ("oidc", "oidc/link", "second_factor"):
        token = write_link(purpose, says, until, house.secrets)
        with pytest.raises(LinkInvalid):
            house.call(linking.link_identity, issued.session, ada, token, CALLER)
    assert house.call(identity.check_begun, "acme", begun.kept, state=state) == "oidc/link"
    with pytest.raises(LinkInvalid):
        house.call(identity.check_begun, "acme", begun.kept, state="another")


def test_an_identity_that_is_somebody_elses_is_not_linked(house: Linked) -> None:
    ada, ben = house.member(), house.member(BEN)
    adas, bens = house.sign_in(), house.sign_in(email=BEN)
    both = house.answer(adas, ada, house.begin(adas, ada))
    house.link(bens, ben)
    with pytest.raises(Conflict, match="somebody else"):
        house.confirm(adas, ada, both)
    with pytest.raises(Conflict, match="somebody else"):
        house.answer(adas, ada, house.begin(adas, ada))
    house.at(adas)
    house.providers.subject = "sub-2"
    adas = house.link(adas, ada)
    house.providers.subject = "sub-3"
    with pytest.raises(Conflict, match="already"):
        house.begin(adas, ada)
    adas = house.link(adas, ada, key="quay")
    assert house.call(linking.list_linked, ada) == [ACME, QUAY]


def test_only_a_session_that_a_password_opened_links(house: Linked) -> None:
    ada = house.member()
    house.link(house.sign_in(), ada)
    by_provider = house.come_in()
    with pytest.raises(Forbidden):
        house.begin(by_provider, ada, key="quay")
    with pytest.raises(NotFound):
        house.begin(house.sign_in(), ada, key="nobody")


def test_what_was_linked_is_unlinked_with_the_sessions_that_began_by_it(house: Linked) -> None:
    ada, ben = house.member(), house.member(BEN, password=None)
    mine = house.link(house.sign_in(), ada)
    by_provider = house.come_in()
    house.call(linking.unlink_identity, ada, ACME, CALLER)
    with pytest.raises(Unauthenticated):
        house.at(by_provider)
    house.at(mine)
    with pytest.raises(Forbidden):
        house.come_in()
    with pytest.raises(NotFound):
        house.call(linking.unlink_identity, ada, ACME, CALLER)
    [told] = house.storage.events(house.tenant, "IDENTITY_UNLINKED")
    assert (told.subject_id, told.payload) == (ada.id, {"via": ACME})
    house.storage.people.add_identity(ACME, "sub-1", ben.id, house.clock.now())
    bens = house.come_in()
    with pytest.raises(Conflict, match="nothing would be left"):
        house.call(linking.unlink_identity, ben, ACME, CALLER)
    house.at(bens)


def test_the_operator_unlinks_what_somebody_else_may_have_linked(house: Linked) -> None:
    ada = house.member()
    house.link(house.sign_in(), ada)
    by_provider = house.come_in()
    assert house.call(linking.unlink_person, " Ada@example.org", CALLER) == [ACME]
    with pytest.raises(Unauthenticated):
        house.at(by_provider)
    with pytest.raises(Forbidden):
        house.come_in()
    [told] = house.storage.events(house.tenant, "IDENTITY_UNLINKED")
    assert (told.subject_id, told.actor, told.payload) == (ada.id, OPERATOR, {"via": ACME})
    assert house.call(linking.unlink_person, ADA, CALLER) == []
    with pytest.raises(NotFound):
        house.call(linking.unlink_person, "nobody@example.org", CALLER)
    assert len(house.storage.events(house.tenant, "IDENTITY_UNLINKED")) == 1


def test_who_signed_out_links_nothing(house: Linked) -> None:
    ada, issued = house.member(), house.sign_in()
    begun = house.begin(issued, ada)
    house.call(sessions.end_session, house.at(issued), ada, issued.session.id)
    later = house.sign_in()
    with pytest.raises(LinkInvalid):
        house.answer(later, ada, begun)
