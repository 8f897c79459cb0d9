"""What `import rushes` brings with it, seen from a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rushes
from tests.fixtures.time_limits import GENEROUS_S

OF_THE_SERVER = {
    *("fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "uvicorn", "boto3", "av", "PIL", "typer", "rich"),
    *("rushes.api", "rushes.app", "rushes.cli", "rushes.db", "rushes.errors", "rushes.jobs", "rushes.settings"),
}


def imported_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=True,
    )
    return set(done.stdout.split())


def test_the_client_imports_nothing_of_the_server() -> None:
    imported = imported_by("from rushes import AsyncClient, Client")
    assert "aiohttp" in imported
    assert imported & OF_THE_SERVER == set()


def test_the_server_does_not_pay_for_the_client() -> None:
    imported = imported_by("import rushes; rushes.__version__")
    assert {name for name in imported if name.startswith(("rushes.", "aiohttp"))} == set()


def test_a_service_that_no_agent_calls_does_not_pay_for_their_protocol() -> None:
    imported = imported_by("import rushes.app.service")
    assert "rushes.api.mcp.endpoint" in imported
    assert imported & {"mcp", "mcp_types", "httpx2", "jsonschema", "rushes.api.mcp.server"} == set()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        _ = rushes.Clients  # type: ignore[attr-defined]  # what it is about
