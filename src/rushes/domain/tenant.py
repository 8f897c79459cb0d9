"""A tenant: an account in one mode. What its live keys make and what its test keys make see nothing of each other.

The name of a tenant stands in the rows that belong to it. That of live mode is the account's id, so rows from before
there were tenants are live.
"""

from __future__ import annotations

from typing import NewType

Tenant = NewType("Tenant", str)

_TEST = "/test"


def tenant_of(account_id: str, *, is_test: bool) -> Tenant:
    """The account in test mode, or in live mode."""
    return Tenant(f"{account_id}{_TEST}" if is_test else account_id)


def is_test(tenant: Tenant) -> bool:
    """Whether the tenant is an account in test mode."""
    return tenant.endswith(_TEST)


def account_of(tenant: Tenant) -> str:
    """The id of the tenant's account."""
    return tenant.removesuffix(_TEST)
