"""From the claims of an ID token to the person: which account, which role, which name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rushes.accounts.people import LONGEST_NAME, Person, Role
from rushes.errors import SignInRefused

STRONGEST_FIRST = (Role.ADMIN, Role.MEMBER, Role.VIEWER)
LONGEST_SUBJECT = 255
"""What OpenID Connect Core 1.0, section 2, allows a `sub`."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Which claims give the account and the role. A name with dots leads into objects, such as `realm_access.roles`.

    `roles` says what the provider's own words mean; our own three mean themselves.
    """

    account: str
    role: str
    roles: Mapping[str, Role] = field(default_factory=dict)


def person_from(claims: Mapping[str, Any], rules: ClaimRules) -> Person:
    """The person that verified claims describe. Raises SignInRefused if they give no account or no role."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise SignInRefused("The ID token names no person: its 'sub' is empty or too long")
    return Person(
        issuer=str(claims["iss"]),
        subject=subject,
        account=_account(claims, rules),
        role=_role(claims, rules),
        name=_name(claims, subject),
    )


def _account(claims: Mapping[str, Any], rules: ClaimRules) -> str:
    value = _claim(claims, rules.account)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        raise SignInRefused(
            f"Your identity provider gives you no account: the claim '{rules.account}' is missing or not one name"
        )
    return value.strip()


def _role(claims: Mapping[str, Any], rules: ClaimRules) -> Role:
    value = _claim(claims, rules.role)
    given = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    known = {**{role.value: role for role in Role}, **rules.roles}
    found = {known[one] for one in given if one in known}
    for role in STRONGEST_FIRST:
        if role in found:
            return role
    said = ", ".join(f"'{one[:50]}'" for one in given[:5]) or "nothing"
    raise SignInRefused(
        f"Your identity provider gives you no role here: the claim '{rules.role}' says {said}, "
        f"and these are known: {', '.join(sorted(known))}"
    )


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _name(claims: Mapping[str, Any], subject: str) -> str:
    for name in ("email", "preferred_username", "name"):
        value = claims.get(name)
        if isinstance(value, str) and value and value.isprintable():
            return value[:LONGEST_NAME]
    return subject if subject.isprintable() else "person"
