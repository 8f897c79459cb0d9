"""Once a job is accepted, nothing that goes wrong with waiting for it may look like a refusal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.requests import Request

from rushes.accounts.keys import Caller, Mode
from rushes.accounts.revocations import Revocations
from rushes.api.native.generations import _answer
from rushes.clock import SystemClock
from rushes.errors import DatabaseUnavailable, JobNotFound, Overloaded, RushesError, StorageUnavailable, TooManyWatchers
from rushes.jobs.idempotency import Replay
from tests.fixtures.asking import request_of
from tests.fixtures.engine import Engine
from tests.fixtures.new_jobs import ACCOUNT

if TYPE_CHECKING:
    from rushes.accounts.key_store import KeyStore

CALLER = Caller(account_id=ACCOUNT, key_id="key_1", mode=Mode.LIVE)
TROUBLES = [DatabaseUnavailable, StorageUnavailable, JobNotFound, Overloaded, TooManyWatchers]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    made = Engine(tmp_path / "rushes.db")
    yield made
    await made.close()


def asked(trouble: RushesError) -> Request:
    """A create that prefers to wait, on a service where waiting ends in trouble."""

    async def until_ended(*_: Any) -> Any:
        raise trouble

    services = SimpleNamespace(
        watching=SimpleNamespace(until_ended=until_ended),
        revocations=Revocations(cast("KeyStore", None), SystemClock()),
        catalogue=SimpleNamespace(find=lambda *_: None),
        links=SimpleNamespace(path_prefix=""),
    )
    request = request_of([b"{}"], headers={"Prefer": "wait=60"})
    request.scope["app"] = SimpleNamespace(state=SimpleNamespace(services=services))
    request.scope["state"]["began"] = 0.0
    return request


@pytest.mark.parametrize("kind", TROUBLES)
async def test_a_new_job_is_answered_whatever_becomes_of_the_waiting(engine: Engine, kind: type[RushesError]) -> None:
    answer = await _answer(asked(kind("trouble")), CALLER, await engine.create(), is_kept=False)
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers
    assert json.loads(bytes(answer.body))["data"]["status"] == "pending"


@pytest.mark.parametrize("kind", TROUBLES)
async def test_a_repetition_is_answered_as_kept_whatever_becomes_of_the_waiting(kind: type[RushesError]) -> None:
    kept = Replay('{"job_id": "job_1", "provider": "scripted", "model": "clip"}')
    answer = await _answer(asked(kind("trouble")), CALLER, kept, is_kept=True)
    assert (answer.status_code, bytes(answer.body).decode()) == (200, kept.answer)
