"""`rushes doctor` as an operator runs it: before the first start, beside a service, and when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.service import Service

GOOGLE_KEY = "AIza" + "S" * 35


def findings(service: Service, *, code: int = 0, **settings: object) -> dict[str, dict[str, Any]]:
    """What the doctor found, by part; of several findings of a part the last."""
    done = service.run("doctor", "--json", **settings)
    assert done.returncode == code, done.stdout + done.stderr
    return {found["part"]: found for found in json.loads(done.stdout)["findings"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Service(tmp_path_factory.mktemp("doctor"))
    running.configure(RUSHES_PUBLIC_URL=running.url)
    running.start()
    yield running
    running.finish()


def test_before_the_first_start_it_says_what_the_start_will_make(tmp_path: Path) -> None:
    found = findings(Service(tmp_path))
    assert {found[part]["state"] for part in ("secret keys", "database", "storage")} == {"skipped"}
    assert not (tmp_path / "data").exists()


def test_a_service_that_is_well_has_no_failure(service: Service) -> None:
    found = findings(service)
    assert {found[part]["state"] for part in ("database", "storage", "public URL", "links", "proxy")} == {"ok"}
    assert not [part for part in found.values() if part["state"] == "failed"]


def test_other_secret_keys_than_the_services_are_noticed(service: Service) -> None:
    found = findings(service, code=1, RUSHES_SECRET_KEYS="k" * 20 + "0123456789abcdef" * 2)
    assert found["links"]["state"] == "failed"
    assert "secret keys" in found["links"]["message"]


def test_a_public_url_where_nothing_answers_is_noticed(service: Service) -> None:
    found = findings(service, code=1, RUSHES_PUBLIC_URL="http://127.0.0.1:9")
    assert found["public URL"]["state"] == "failed"
    assert "http://127.0.0.1:9" in found["public URL"]["message"]


def test_a_public_url_of_something_else_is_noticed(service: Service) -> None:
    found = findings(service, code=1, RUSHES_PUBLIC_URL=f"{service.url}/healthz")
    assert found["public URL"]["state"] == "failed"


def test_a_key_file_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    service = Service(tmp_path).start()
    service.finish()
    (key,) = [path for path in service.data_dir.iterdir() if "secret" in path.name]
    key.chmod(0o644)
    found = findings(service, code=1)
    assert found["secret keys"]["state"] == "failed"
    assert "chmod 600" in found["secret keys"]["advice"]


def test_a_database_that_cannot_be_reached_is_named_without_its_password(service: Service) -> None:
    url = "postgresql://rushes:hidden-password@127.0.0.1:9/rushes"
    done = service.run("doctor", "--json", RUSHES_DATABASE_URL=url, RUSHES_SECRET_KEYS="0123456789abcdef" * 3)
    assert done.returncode == 1
    assert "hidden-password" not in done.stdout + done.stderr
    states = {found["part"]: found["state"] for found in json.loads(done.stdout)["findings"]}
    assert states["database"] == "failed"
    assert states["disk"] != "failed"


def test_no_credential_is_shown(service: Service) -> None:
    done = service.run("doctor", GEMINI_API_KEY=GOOGLE_KEY)
    assert "provider google" in done.stdout
    assert GOOGLE_KEY not in done.stdout + done.stderr


def test_the_table_names_what_to_do(service: Service) -> None:
    done = service.run("doctor", RUSHES_PUBLIC_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].split() == ["part", "state", "finding"]
    assert "public URL: " in done.stdout
