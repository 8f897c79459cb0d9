"""`rushes doctor` as an operator runs it: before the first start, beside a service, and when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.service import Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.fal import FakeFal
from tests.fixtures.upstreams.gemini import Gemini
from tests.fixtures.upstreams.luma import FakeLuma
from tests.fixtures.upstreams.openrouter import FakeOpenrouter
from tests.fixtures.upstreams.replicate import FakeReplicate
from tests.fixtures.upstreams.runway import FakeRunway

GOOGLE_KEY = "AIza" + "S" * 35
FAL_KEY = "operators-id:0123456789abcdef"
REPLICATE_KEY = "r8_operators0123456789abcdef"
RUNWAY_KEY = f"key_{'0123456789abcdef' * 8}"
LUMA_KEY = "luma-api-0123456789abcdef"
OPENROUTER_KEY = "sk-or-v1-0123456789abcdef"


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


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, tuple[str, str, str]]]:
    """Fakes that know one key each: by provider, the variable of its key, the key and the base URL."""
    with (
        beside(FakeFal(FAL_KEY)) as fal,
        beside(FakeReplicate(REPLICATE_KEY)) as replicate,
        beside(FakeRunway(RUNWAY_KEY)) as runway,
        beside(FakeLuma(LUMA_KEY)) as luma,
        beside(FakeOpenrouter(OPENROUTER_KEY)) as openrouter,
        beside(Gemini()) as gemini,
    ):
        yield {
            "fal": ("FAL_KEY", FAL_KEY, fal.base_url),
            "replicate": ("REPLICATE_API_TOKEN", REPLICATE_KEY, f"{replicate.base_url}/v1"),
            "runway": ("RUNWAYML_API_SECRET", RUNWAY_KEY, runway.base_url),
            "luma": ("RUSHES_PROVIDERS__LUMA__API_KEY", LUMA_KEY, f"{luma.base_url}/v1"),
            "openrouter": ("OPENROUTER_API_KEY", OPENROUTER_KEY, f"{openrouter.base_url}/api/v1"),
            "google": ("GEMINI_API_KEY", GOOGLE_KEY, gemini.base_url),
        }


@pytest.mark.parametrize("is_wrong", [False, True])
def test_each_provider_is_asked_whether_it_takes_its_credential_and_none_is_shown(
    tmp_path: Path, upstreams: dict[str, tuple[str, str, str]], is_wrong: bool
) -> None:
    settings = {}
    for name, (variable, key, url) in upstreams.items():
        settings[variable] = key[:-1] + "0" if is_wrong and name != "google" else key
        settings[f"RUSHES_PROVIDERS__{name.upper()}__BASE_URL"] = url
    done = Service(tmp_path).run("doctor", "--json", **settings)
    assert done.returncode == int(is_wrong), done.stdout + done.stderr
    found = {one["part"]: one for one in json.loads(done.stdout)["findings"]}
    for name, (variable, _, _) in upstreams.items():
        one = found[f"provider {name}"]
        if is_wrong and name != "google":
            assert one["state"] == "failed", one
            assert "refuses the credential" in one["message"]
            assert f"RUSHES_PROVIDERS__{name.upper()}__API_KEY" in one["advice"]
        else:
            assert (one["state"], one["message"]) == ("ok", "it takes the credential"), one
        assert settings[variable] not in done.stdout + done.stderr


def test_a_provider_that_is_away_and_one_without_a_free_call_are_told_apart(tmp_path: Path) -> None:
    found = findings(
        Service(tmp_path),
        GEMINI_API_KEY=GOOGLE_KEY,
        RUSHES_PROVIDERS__GOOGLE__BASE_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="AKIA" + "Q" * 16,
        AWS_SECRET_ACCESS_KEY="q" * 40,
        AWS_REGION="us-east-1",
        RUSHES_PROVIDERS__BEDROCK__BUCKET="films-of-ours",
    )
    assert found["provider google"]["state"] == "warning"
    assert "cannot be reached" in found["provider google"]["message"]
    assert "no call that costs nothing proves it" in found["provider bedrock"]["message"]


def test_the_table_names_what_to_do(service: Service) -> None:
    done = service.run("doctor", RUSHES_PUBLIC_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].split() == ["part", "state", "finding"]
    assert "public URL: " in done.stdout
