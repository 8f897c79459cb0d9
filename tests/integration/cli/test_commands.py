"""Starting quickly: what a command imports before it does its work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fixtures.time_limits import GENEROUS_S

SERVER = {
    *("fastapi", "starlette", "uvicorn", "pydantic_settings", "sqlalchemy", "alembic", "av", "PIL", "cryptography"),
    *("structlog", "rushes.api", "rushes.app", "rushes.jobs", "rushes.db", "rushes.settings", "rushes.catalogue"),
}
NO_SERVICE = "http://127.0.0.1:9"


def imported_by(*arguments: str) -> set[str]:
    program = f"""
import sys
sys.argv = ["rushes", *{arguments!r}]
from rushes.cli import main
try:
    main()
except SystemExit:
    pass
print("\\nIMPORTED", *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=GENEROUS_S, check=True
    )
    return set(done.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["jobs", "--help"], ["generate", "--help"]])
def test_help_needs_neither_the_server_nor_the_client(arguments: list[str]) -> None:
    assert imported_by(*arguments).isdisjoint({*SERVER, "aiohttp"})


def test_asking_a_service_needs_nothing_of_the_server() -> None:
    imported = imported_by("jobs", "cancel", "job_1", "--base-url", NO_SERVICE, "--api-key", "x")
    assert "aiohttp" in imported
    assert imported.isdisjoint(SERVER)
