"""What serves a request: which model, on which API, with whose key; and what is refused instead."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.load import load
from rushes.catalogue.model import Model
from rushes.domain.request import VideoRequest
from rushes.errors import InvalidRequest, ModelRetired, NoCredentials, UnsupportedOption
from rushes.jobs.routing import OnRetired, Route, Router
from rushes.providers.base import Credential
from rushes.providers.credentials import Keyring, Pinned
from rushes.providers.registry import declarations

CATALOGUE = load()
TODAY = date(2026, 11, 22)
RETIRED = date(2026, 6, 30)
OWN_KEY = "AIzaTheCallersOwnKey"
OWN_ACCOUNT = json.dumps(
    {"type": "service_account", "client_email": "a@b", "private_key": "k", "private_key_id": "1", "project_id": "p"}
)
SURFACES = (("animatic", None), ("google", "gemini"), ("google", "vertex"))
SHAPES = {name: declared.credentials for name, declared in declarations().items()}


def model(model_id: str, provider: str = "google") -> Model:
    found = CATALOGUE.find(provider, model_id)
    assert found is not None
    return found


VEO_3 = model("veo-3.0-generate-001")
VEO_31 = model("veo-3.1-generate-001")
OMNI = model("gemini-omni-1.2-flash")
STORYBOARD = model("storyboard", "animatic")


def our_key(api: str) -> Pinned:
    return Pinned(Credential("api_key", f"our-key-of-{api}"), api)


def servers(
    *keys: str,
    on_retired: OnRetired = OnRetired.SUCCESSOR,
    apis: tuple[tuple[str, str | None], ...] = SURFACES,
) -> Router:
    """Router whose operator has a key for each of these APIs of Google, the preferred one first."""
    return Router(
        CATALOGUE,
        Keyring(SHAPES, {"google": [our_key(api) for api in keys]}),
        apis=apis,
        setting_names=lambda provider: (f"SETTING_OF_{provider}", "ANOTHER"),
        on_retired=on_retired,
    )


def serve(
    by: Router, asked: Model, *, test: bool = False, byok: str | None = None, today: date = TODAY, **options: Any
) -> Route:
    return by.serve(asked, VideoRequest("a kite", **options), test=test, byok_api_key=byok, today=today)


# Which API.


def test_a_model_runs_on_the_api_that_has_it() -> None:
    route = serve(servers("gemini", "vertex"), VEO_31)
    assert (route.model, route.pinned, route.byok) == (VEO_31, our_key("vertex"), False)
    assert route.warnings == ()


@pytest.mark.parametrize(("first", "second"), [("gemini", "vertex"), ("vertex", "gemini")])
def test_of_two_apis_that_have_it_the_preferred_key_decides(first: str, second: str) -> None:
    assert serve(servers(first, second), OMNI).pinned == our_key(first)


def test_a_key_of_a_api_without_an_adapter_is_not_used() -> None:
    only_gemini = (("animatic", None), ("google", "gemini"))
    assert serve(servers("vertex", "gemini", apis=only_gemini), OMNI).pinned == our_key("gemini")
    with pytest.raises(NoCredentials):
        serve(servers("vertex", apis=only_gemini), OMNI)


def test_without_credentials_the_settings_and_the_other_way_are_named() -> None:
    with pytest.raises(NoCredentials) as caught:
        serve(servers(), OMNI)
    message = caught.value.message
    assert "model 'google/gemini-omni-1.2-flash'" in message
    assert "set SETTING_OF_google or ANOTHER, or send your own key as byok_api_key" in message


def test_a_model_of_another_api_says_which_one_it_needs() -> None:
    with pytest.raises(NoCredentials, match="runs on 'vertex' only: set SETTING_OF_google"):
        serve(servers("gemini"), VEO_31)


# Retirement.


def test_a_retired_model_is_served_by_the_successor_of_its_api() -> None:
    by_gemini = serve(servers("gemini"), VEO_3)
    assert by_gemini.model is OMNI
    assert by_gemini.request.duration_s == 8
    assert by_gemini.warnings == (
        "'veo-3.0-generate-001' was retired on 2026-06-30; its successor 'gemini-omni-1.2-flash' serves this request.",
    )
    assert serve(servers("vertex"), VEO_3).model is VEO_31


def test_the_preferred_key_decides_which_successor_serves() -> None:
    assert serve(servers("vertex", "gemini"), VEO_3).model is VEO_31
    assert serve(servers("gemini", "vertex"), VEO_3).model is OMNI


def test_a_successor_begins_on_the_day_of_the_retirement() -> None:
    preview = model("gemini-omni-flash-preview")
    assert preview.retired is not None
    by = servers("gemini")
    assert serve(by, preview, today=preview.retired - timedelta(days=1)).model is preview
    assert serve(by, preview, today=preview.retired).model is OMNI


def test_an_option_that_the_successor_lacks_is_refused_with_both_names() -> None:
    with pytest.raises(UnsupportedOption, match=r"'gemini-omni-1\.2-flash' serves 'veo-3\.0-generate-001'") as caught:
        serve(servers("gemini"), VEO_3, seed=0)
    assert caught.value.field == "seed"


def test_an_operator_may_refuse_retired_models() -> None:
    with pytest.raises(ModelRetired, match=r"retired on 2026-06-30; its successor is 'gemini-omni-1\.2-flash'"):
        serve(servers("gemini", on_retired=OnRetired.REFUSE), VEO_3)
    assert serve(servers("gemini", on_retired=OnRetired.REFUSE), OMNI).model is OMNI


def test_a_retired_model_without_a_successor_here_is_refused() -> None:
    apis = (*SURFACES, ("google", "elsewhere"))
    with pytest.raises(ModelRetired, match="has no successor here"):
        serve(servers("elsewhere", apis=apis), VEO_3)


def test_a_retired_model_without_credentials_lacks_credentials_first() -> None:
    with pytest.raises(NoCredentials):
        serve(servers(on_retired=OnRetired.REFUSE), VEO_3)


# The caller's own key.


def test_the_callers_key_is_used_and_not_ours() -> None:
    route = serve(servers("gemini"), OMNI, byok=OWN_KEY)
    assert route.byok
    assert route.pinned == Pinned(Credential("api_key", OWN_KEY), "gemini")


def test_the_callers_key_needs_none_of_ours_and_decides_the_api() -> None:
    assert serve(servers(), VEO_3, byok=OWN_KEY).model is OMNI
    assert serve(servers("gemini"), VEO_3, byok=OWN_ACCOUNT).model is VEO_31


def test_the_callers_key_for_another_api_is_not_replaced_by_ours() -> None:
    with pytest.raises(NoCredentials, match="runs on 'vertex' only"):
        serve(servers("vertex"), VEO_31, byok=OWN_KEY)


def test_the_callers_key_for_what_is_not_served_here_is_refused_by_its_kind() -> None:
    with pytest.raises(UnsupportedOption, match="of kind 'service_account'") as caught:
        serve(servers("gemini", apis=SURFACES[:2]), OMNI, byok=OWN_ACCOUNT)
    assert caught.value.field == "byok_api_key"


@pytest.mark.parametrize("asked", [OMNI, STORYBOARD])
def test_what_is_no_key_is_refused(asked: Model) -> None:
    with pytest.raises(InvalidRequest):
        serve(servers("gemini"), asked, byok="no key")


def test_reserved_params_are_for_the_callers_own_key_alone() -> None:
    params = {"service_tier": "priority"}
    by = servers("gemini")
    with pytest.raises(UnsupportedOption, match="'service_tier'"):
        serve(by, OMNI, additional_params=params)
    with pytest.raises(UnsupportedOption, match="'service_tier'"):
        serve(by, OMNI, additional_params=params, test=True)
    assert serve(by, OMNI, additional_params=params, byok=OWN_KEY).request.additional_params == params


# Test mode, and the animatic.


@pytest.mark.parametrize("keys", [(), ("gemini",)])
def test_with_a_test_key_the_animatic_draws_and_says_so(keys: tuple[str, ...]) -> None:
    route = serve(servers(*keys), OMNI, test=True)
    assert (route.model, route.pinned, route.byok) == (STORYBOARD, None, False)
    assert route.request.duration_s == 10
    (warning,) = route.warnings
    assert "the embedded animatic draws this video at no cost; it is not the work of 'gemini-omni-1.2-flash'" in warning


def test_with_a_test_key_a_retired_model_keeps_its_own_options() -> None:
    route = serve(servers(on_retired=OnRetired.REFUSE), VEO_3, test=True, seed=0, aspect_ratio="1:1")
    assert (route.request.seed, route.request.aspect_ratio, route.request.duration_s) == (0, "1:1", 8)
    assert "was retired on 2026-06-30; with a live key a successor serves it" in route.warnings[1]
    assert len(serve(servers(), VEO_3, test=True, today=RETIRED - timedelta(days=1)).warnings) == 1


def test_with_a_test_key_the_callers_own_key_is_not_kept() -> None:
    route = serve(servers(), OMNI, test=True, byok=OWN_KEY)
    assert route.pinned is None
    assert not route.byok
    assert route.warnings[1] == "Test mode: byok_api_key was not used and is not kept."
    assert OWN_KEY not in repr(route)


@pytest.mark.parametrize("test", [False, True])
def test_the_animatic_needs_no_key_and_warns_of_nothing(test: bool) -> None:
    route = serve(servers(), STORYBOARD, test=test)
    assert (route.model, route.pinned, route.warnings) == (STORYBOARD, None, ())


@pytest.mark.parametrize("test", [False, True])
def test_the_animatic_takes_no_key(test: bool) -> None:
    with pytest.raises(InvalidRequest, match="'animatic' needs no key"):
        serve(servers("gemini"), STORYBOARD, test=test, byok=OWN_KEY)


# The rules, over the whole catalogue.

ASKED = st.sampled_from(CATALOGUE.models("google"))
KEYS = st.lists(st.sampled_from(["gemini", "vertex"]), unique=True)
DAYS = st.dates(date(2026, 1, 1), date(2028, 1, 1))


@given(asked=ASKED, keys=KEYS, today=DAYS, byok=st.sampled_from([None, OWN_KEY, OWN_ACCOUNT]))
def test_what_serves_is_alive_on_the_api_of_its_key(
    asked: Model, keys: list[str], today: date, byok: str | None
) -> None:
    try:
        route = serve(servers(*keys), asked, byok=byok, today=today)
    except (NoCredentials, ModelRetired):
        return
    served, pinned = route.model, route.pinned
    assert pinned is not None
    assert served.retired is None or served.retired > today
    assert not served.apis or pinned.api in served.apis
    assert route.byok is (byok is not None)
    assert (pinned.credential.secret == byok) is route.byok
    assert (served is asked) or asked.retired is not None


@given(asked=ASKED, keys=KEYS, today=DAYS)
def test_an_operator_who_refuses_successors_gets_the_model_asked_for_or_an_error(
    asked: Model, keys: list[str], today: date
) -> None:
    try:
        route = serve(servers(*keys, on_retired=OnRetired.REFUSE), asked, today=today)
    except (NoCredentials, ModelRetired):
        return
    assert route.model is asked


def test_the_apis_in_use_are_the_keyless_and_those_with_a_key_the_preferred_first() -> None:
    assert servers().apis_in_use() == {"animatic": None}
    assert servers("vertex", "gemini").apis_in_use() == {"animatic": None, "google": "vertex"}
    assert servers("vertex", "gemini", apis=SURFACES[:2]).apis_in_use() == {
        "animatic": None,
        "google": "gemini",
    }
