"""What a process needs that is only a part of the service."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.app.role import Role, check_role
from rushes.errors import StartupError
from rushes.settings import load_settings

POSTGRES = {"database_url": "postgresql://films"}


@pytest.mark.parametrize("role", [Role.API, Role.WORKER])
def test_half_a_service_on_sqlite_is_refused_and_told_what_is_missing(role: Role) -> None:
    with pytest.raises(StartupError, match="SQLite is for one process: set RUSHES_DATABASE_URL"):
        check_role(load_settings(), role)


def test_a_worker_without_the_address_for_its_links_is_refused() -> None:
    with pytest.raises(StartupError, match="RUSHES_PUBLIC_URL"):
        check_role(load_settings(**POSTGRES), Role.WORKER)


@pytest.mark.parametrize(
    ("role", "given"),
    [
        (Role.ALL, {}),
        (Role.API, POSTGRES),
        (Role.WORKER, {**POSTGRES, "public_url": "https://films.example"}),
    ],
)
def test_what_has_all_it_needs_may_start(role: Role, given: dict[str, Any]) -> None:
    check_role(load_settings(**given), role)


def test_each_part_is_done_by_somebody_and_the_whole_does_both() -> None:
    assert [(role.answers, role.works) for role in Role] == [(True, True), (True, False), (False, True)]
