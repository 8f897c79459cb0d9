"""A few lines of configuration become a provider; what cannot be meant is refused at the start, by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.app.own_servers import assumed, discovering, own_servers, with_own_servers
from rushes.catalogue.load import Catalogue, load
from rushes.clock import SystemClock
from rushes.domain.request import Role
from rushes.errors import StartupError
from rushes.settings import Settings, key_variable, load_settings

URL = "http://127.0.0.1:8000"


def settings(_env: pytest.MonkeyPatch, name: str = "my-gpu", **written: Any) -> Settings:
    table = {"kind": "openai", "base_url": URL, **written}
    given = {key: value for key, value in table.items() if value is not None}
    return load_settings(providers={name: given})


def catalogue(given: Settings) -> Catalogue:
    shipped = load()
    return with_own_servers(shipped, own_servers(given, shipped), SystemClock())


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def test_an_id_is_enough_for_a_model(env: pytest.MonkeyPatch) -> None:
    model = catalogue(settings(env, flavor="vllm-omni", models=[{"id": "Wan-AI/Wan2.2"}])).find(
        "my-gpu", "Wan-AI/Wan2.2"
    )
    assert model is not None
    assert (model.defaults.aspect_ratio, model.defaults.resolution, model.defaults.duration_s) == ("16:9", "720p", 4)
    assert [price.usd_per_s for price in model.prices] == [0]
    assert model.can_cancel
    assert not model.reports_progress
    assert model.seed
    assert Role.LAST_FRAME in model.inputs


def test_what_is_written_is_what_the_model_offers(env: pytest.MonkeyPatch) -> None:
    written = {
        "id": "ltx",
        "durations_s": [5, 10],
        "resolutions": ["1080p"],
        "aspect_ratios": ["9:16"],
        "inputs": {"input_image": 1},
        "prices": [{"usd_per_s": 0.02}],
    }
    model = catalogue(settings(env, flavor="sglang", models=[written])).find("my-gpu", "ltx")
    assert model is not None
    assert (model.defaults.aspect_ratio, model.defaults.resolution, model.defaults.duration_s) == ("9:16", "1080p", 5)
    assert model.inputs == {Role.INPUT_IMAGE: 1}
    assert model.input_rules == ()
    assert [price.usd_per_s for price in model.prices] == [Decimal("0.02")]
    assert model.reports_progress


def test_sizes_say_which_resolutions_and_ratios_there_are(env: pytest.MonkeyPatch) -> None:
    sizes = {"480p": {"16:9": "832x480", "9:16": "480x832"}}
    model = catalogue(settings(env, models=[{"id": "wan", "sizes": sizes}])).find("my-gpu", "wan")
    assert model is not None
    assert (model.resolutions, model.aspect_ratios) == (("480p",), ("16:9", "9:16"))


def test_a_price_at_a_reseller_is_unknown_unless_it_is_written(env: pytest.MonkeyPatch) -> None:
    model = catalogue(settings(env, models=[{"id": "kling"}])).find("my-gpu", "kling")
    assert model is not None
    assert model.prices == ()


@pytest.mark.parametrize(
    ("written", "has_shapes"),
    [({}, False), ({"api_key": "sk-12345678"}, True), ({"needs_key": True}, True)],
)
def test_a_server_takes_credentials_only_if_it_needs_one(
    env: pytest.MonkeyPatch, written: dict[str, Any], has_shapes: bool
) -> None:
    (server,) = own_servers(settings(env, **written), load())
    assert bool(server.credentials) is has_shapes


def test_a_key_may_come_from_the_environment(env: pytest.MonkeyPatch) -> None:
    env.setenv("RUSHES_PROVIDERS__MY_GPU__API_KEY", "sk-from-outside")
    given = settings(env)
    assert [one.key.get_secret_value() for one in given.provider_keys("my-gpu")] == ["sk-from-outside"]
    assert key_variable("my-gpu") == "RUSHES_PROVIDERS__MY_GPU__API_KEY"
    (server,) = own_servers(given, load())
    assert server.needs_key


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"base_url": None}, r"\[providers\.my-gpu\]: base_url is missing"),
        ({"kind": None}, 'add kind = "comfyui" or "openai"'),
        ({"kind": None, "models": [{"id": "x"}]}, "there is no provider 'my-gpu'; .* add kind = \"comfyui\""),
        ({"kind": "sora"}, 'kind \'sora\' is not known; the kinds of server are "comfyui" or "openai"'),
        ({"models": [{"name": "x"}]}, r"\[\[providers\.my-gpu\.models\]\], model '\?', field 'id'"),
        ({"models": [{"id": "x", "duration": 4}]}, "field 'duration'"),
        ({"models": [{"id": "x"}, {"id": "x"}]}, "listed twice"),
        ({"models": [{"id": "x", "inputs": {"video": 1}}]}, "'inputs.video': it cannot be said"),
        ({"models": [{"id": "x", "n_per_call": 2}]}, "'n_per_call': a server of flavor 'openai' makes one"),
        ({"models": [{"id": "x", "audio": "optional"}]}, "'audio': sound cannot be chosen"),
        ({"models": [{"id": "x", "can_cancel": True}]}, "'can_cancel'"),
        ({"models": [{"id": "x", "person_generation": ["allow_all"]}]}, "'person_generation'"),
        ({"models": [{"id": "x", "resolutions": []}]}, "list both or neither"),
        ({"models": [{"id": "x", "resolutions": ["huge"]}]}, "'huge' at '16:9' is no size we know"),
        ({"models": [{"id": "x", "sizes": {"480p": {"16:9": "480p"}}}]}, "is not WIDTHxHEIGHT"),
        ({"models": [{"id": "x", "deadline_s": 60}]}, "'deadline_s': 60 is less than usual_s"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(
    env: pytest.MonkeyPatch, written: dict[str, Any], words: str
) -> None:
    with pytest.raises(StartupError, match=words):
        catalogue(settings(env, **written))


@pytest.mark.parametrize("name", ["google", "animatic", "My-GPU", "a/b", "a b", ""])
def test_a_name_that_cannot_be_a_providers_is_refused(env: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(StartupError):
        catalogue(settings(env, name))


def test_two_names_that_one_variable_stands_for_are_refused(env: pytest.MonkeyPatch) -> None:
    # Else the key of one would be sent to the other.
    both = {name: {"kind": "openai", "base_url": URL} for name in ("my-gpu", "my_gpu")}
    with pytest.raises(StartupError, match="too much alike"):
        own_servers(load_settings(providers=both), load())


def test_a_server_without_listed_models_is_asked_for_them(env: pytest.MonkeyPatch) -> None:
    for written, asked in (
        ({}, True),
        ({"models": [{"id": "x"}]}, False),
        ({"models": [{"id": "x"}], "discover": True}, True),
        ({"discover": False}, False),
    ):
        given = settings(env, **written)
        assert bool(discovering(own_servers(given, load()))) is asked


def test_a_job_goes_on_although_its_model_is_not_listed_any_more(env: pytest.MonkeyPatch) -> None:
    servers = own_servers(settings(env), load())
    model = assumed(servers, "my-gpu", "gone", SystemClock())
    assert model is not None
    assert model.id == "gone"
    assert assumed(servers, "google", "gone", SystemClock()) is None
