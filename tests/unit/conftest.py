"""Unit tests stay in the process: no written file, socket, database or process. They take seconds altogether."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.purity import guarded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Guard the fixtures of a test."""
    yield from _pure()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Guard the test."""
    yield from _pure()


def _pure() -> Iterator[None]:
    with guarded() as seen:
        yield
    if seen:
        pytest.fail(seen[0], pytrace=False)
