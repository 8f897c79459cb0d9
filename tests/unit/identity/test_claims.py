"""Which account and role the claims of a person give, and when they give none."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.accounts.keys import Scope
from rushes.accounts.people import Role
from rushes.errors import SignInRefused
from rushes.identity.claims import ClaimRules, person_from

PLAIN: dict[str, Any] = {"iss": "https://login.example.com", "sub": "248289", "account": "studio", "role": "member"}
RULES = ClaimRules("account", "role", {"video-admins": Role.ADMIN})


def test_the_claims_give_account_role_and_a_name_that_people_know() -> None:
    person = person_from({**PLAIN, "email": "ada@example.com", "name": "Ada"}, RULES)
    assert (person.account, person.role, person.name) == ("studio", Role.MEMBER, "ada@example.com")
    assert (person.issuer, person.subject) == (PLAIN["iss"], PLAIN["sub"])
    assert person_from(PLAIN, RULES).name == "248289"
    assert person_from({**PLAIN, "email": "a\nb"}, RULES).name == "248289"


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ("viewer", Role.VIEWER),
        ("video-admins", Role.ADMIN),
        (["everyone", "viewer", "member"], Role.MEMBER),
        (["viewer", "video-admins"], Role.ADMIN),
    ],
)
def test_the_strongest_known_role_counts(role: object, found: Role) -> None:
    assert person_from({**PLAIN, "role": role}, RULES).role is found


@pytest.mark.parametrize("role", [None, "", "Admin", "root", [], ["everyone"], {"admin": True}, 1, True])
def test_without_a_known_role_nobody_is_let_in(role: object) -> None:
    with pytest.raises(SignInRefused, match=r"no role here.*admin, member, video-admins, viewer"):
        person_from({**PLAIN, "role": role}, RULES)


@pytest.mark.parametrize("account", [None, "", " ", [], ["one", "two"], {"name": "studio"}, 7])
def test_without_an_account_nobody_is_let_in(account: object) -> None:
    with pytest.raises(SignInRefused, match="no account: the claim 'account'"):
        person_from({**PLAIN, "account": account}, RULES)


@pytest.mark.parametrize("subject", ["", "x" * 256, 7, None])
def test_without_a_subject_nobody_is_let_in(subject: object) -> None:
    with pytest.raises(SignInRefused, match="names no person"):
        person_from({**PLAIN, "sub": subject}, RULES)


def test_a_name_with_dots_leads_into_objects_unless_a_claim_is_called_so() -> None:
    rules = ClaimRules("https://example.com/account", "realm_access.roles")
    claims = {"https://example.com/account": ["studio"], "realm_access": {"roles": ["viewer"]}}
    person = person_from({**PLAIN, **claims}, rules)
    assert (person.account, person.role) == ("studio", Role.VIEWER)
    with pytest.raises(SignInRefused):
        person_from({**PLAIN, **claims, "realm_access": ["viewer"]}, rules)


def test_each_role_may_do_more_than_the_one_before() -> None:
    assert Role.VIEWER.scopes == {Scope.READ}
    assert Role.VIEWER.scopes < Role.MEMBER.scopes < Role.ADMIN.scopes
    assert Scope.ADMIN not in Role.MEMBER.scopes
