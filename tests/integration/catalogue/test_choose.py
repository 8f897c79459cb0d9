"""Which model is meant, and what runs in its place once it is retired."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.choose import choose, served
from rushes.catalogue.load import Catalogue, load
from rushes.catalogue.model import Model
from rushes.errors import (
    CallerError,
    InvalidRequest,
    ModelNotFound,
    ProviderNotFound,
    UnsupportedOption,
)

TODAY = date(2026, 11, 22)
SHIPPED = load()


def entry(provider: str, *models: str) -> str:
    """A catalogue file; each model is its id, or `id maker`."""
    text = f'provider = "{provider}"\nname = "{provider}"\nsource = "test"\nchecked = 2026-11-22\n'
    for model in models:
        model_id, _, maker = model.partition(" ")
        text += f'[[models]]\nid = "{model_id}"\nname = "{model_id}"\nprompt_chars = 100\nusual_s = 1\n'
        text += f'maker = "{maker}"\n' if maker else ""
    return text


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Two makers and two resellers, one of which has slashes in its ids."""
    (tmp_path / "acme.toml").write_text(entry("acme", "wave google", "own", "google/veo-3", "acme/odd"))
    (tmp_path / "google.toml").write_text(entry("google", "wave google", "veo-3.0-generate-001"))
    (tmp_path / "orphan.toml").write_text(entry("orphan", "own", "lonely elsewhere"))
    (tmp_path / "zenith.toml").write_text(entry("zenith", "lonely elsewhere", "deep/er/name"))
    return load(tmp_path)


def name(model: Model) -> str:
    return f"{model.provider}:{model.id}"


def test_nothing_given_means_the_default_model() -> None:
    assert name(choose(SHIPPED, None, None)) == "google:veo-3.0-generate-001"


@pytest.mark.parametrize(
    ("model", "provider", "chosen"),
    [
        ("google/wave", None, "google:wave"),
        ("acme/wave", None, "acme:wave"),
        ("wave", "acme", "acme:wave"),
        ("acme/wave", "acme", "acme:wave"),
        ("deep/er/name", None, "zenith:deep/er/name"),
        ("zenith/deep/er/name", None, "zenith:deep/er/name"),
        ("deep/er/name", "zenith", "zenith:deep/er/name"),
        (None, "google", "google:veo-3.0-generate-001"),
    ],
)
def test_prefix_and_provider_lead_to_the_same_models(
    catalogue: Catalogue, model: str | None, provider: str | None, chosen: str
) -> None:
    assert name(choose(catalogue, model, provider)) == chosen


def test_a_bare_id_offered_by_several_goes_to_its_maker(catalogue: Catalogue) -> None:
    assert name(choose(catalogue, "wave", None)) == "google:wave"


def test_a_bare_id_whose_maker_does_not_offer_it_goes_to_the_first_in_order(catalogue: Catalogue) -> None:
    assert name(choose(catalogue, "lonely", None)) == "orphan:lonely"
    assert name(choose(catalogue, "own", None)) == "acme:own"


def test_with_a_provider_the_whole_string_is_tried_as_its_id_first(catalogue: Catalogue) -> None:
    assert name(choose(catalogue, "google/veo-3", "acme")) == "acme:google/veo-3"
    assert name(choose(catalogue, "acme/odd", "acme")) == "acme:acme/odd"


def test_a_first_segment_that_names_a_provider_is_never_another_providers_id(catalogue: Catalogue) -> None:
    """Acme has the id 'google/veo-3', but who asks for Google's model must not be billed by acme."""
    with pytest.raises(ModelNotFound):
        choose(catalogue, "google/veo-3", None)


def test_a_prefix_that_contradicts_the_provider_is_refused_naming_both(catalogue: Catalogue) -> None:
    with pytest.raises(UnsupportedOption, match=r"'google'.*'zenith'") as caught:
        choose(catalogue, "google/wave", "zenith")
    assert caught.value.field == "model"


def test_a_first_segment_that_names_no_provider_is_part_of_the_id(catalogue: Catalogue) -> None:
    with pytest.raises(ModelNotFound) as caught:
        choose(catalogue, "nobody/wave", None)
    assert caught.value.message == "Model 'nobody/wave' not found"
    assert caught.value.suggestions[0] in {"google/wave", "acme/wave"}


def test_an_unknown_provider_is_refused_with_near_names(catalogue: Catalogue) -> None:
    with pytest.raises(ProviderNotFound) as caught:
        choose(catalogue, "wave", "Gogle")
    assert caught.value.message == "Provider 'Gogle' not found"
    assert caught.value.suggestions == ("google",)


def test_ids_are_case_sensitive_and_suggestions_are_not() -> None:
    with pytest.raises(ModelNotFound) as caught:
        choose(SHIPPED, "VEO-3.0-Generate-001", None)
    assert caught.value.suggestions[0] == "veo-3.0-generate-001"


def test_suggestions_carry_the_prefix_where_one_was_used() -> None:
    with pytest.raises(ModelNotFound) as caught:
        choose(SHIPPED, "Google/veo-3.0-generate-001", None)
    assert caught.value.suggestions[0] == "google/veo-3.0-generate-001"
    with pytest.raises(ModelNotFound) as caught:
        choose(SHIPPED, "google/omni", None)
    assert set(caught.value.suggestions) <= {f"google/{model.id}" for model in SHIPPED.models("google")}
    assert "google/gemini-omni-1.2-flash" in caught.value.suggestions


def test_with_a_provider_only_its_models_are_suggested() -> None:
    with pytest.raises(ModelNotFound) as caught:
        choose(SHIPPED, "veo-3.1", "google")
    assert caught.value.suggestions
    assert set(caught.value.suggestions) <= {model.id for model in SHIPPED.models("google")}


@pytest.mark.parametrize(("model", "provider"), [("", None), ("", "google"), ("wave", ""), (None, "")])
def test_an_empty_name_is_refused(catalogue: Catalogue, model: str | None, provider: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose(catalogue, model, provider)
    assert caught.value.fields[0].field == ("model" if model == "" else "provider")


def test_a_provider_without_the_default_model_requires_one_by_name(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidRequest, match=r"model is required with provider 'zenith', for example 'lonely'"):
        choose(catalogue, None, "zenith")


def test_a_huge_name_is_cut_in_the_message(catalogue: Catalogue) -> None:
    with pytest.raises(ModelNotFound) as caught:
        choose(catalogue, "x" * 1_000_000, None)
    assert len(caught.value.message) < 120


names = st.none() | st.text() | st.sampled_from(["google", "animatic", "veo-3.0-generate-001", "storyboard"])
joined = st.lists(st.text() | st.sampled_from(["google", "animatic", "storyboard", ""]), max_size=4).map("/".join)


@given(names | joined, names)
def test_any_strings_give_a_model_or_an_error_of_ours(model: str | None, provider: str | None) -> None:
    try:
        chosen = choose(SHIPPED, model, provider)
    except CallerError as error:
        error.message.encode()
    else:
        assert SHIPPED.find(chosen.provider, chosen.id) is chosen


@given(st.text(alphabet="abgoglevx3.0-/", min_size=1))
def test_a_missing_models_sentence_is_just_that(model: str) -> None:
    """The published client maps a 404 by words such as "provider" and "not supported"."""
    try:
        choose(SHIPPED, model, None)
    except ModelNotFound as error:
        shown = model if len(model) <= 80 else model[:80] + "…"
        assert error.message == f"Model '{shown}' not found"  # noqa: PT017 (most of the names are unknown)


def google(model_id: str) -> Model:
    model = SHIPPED.find("google", model_id)
    assert model is not None
    return model


@pytest.mark.parametrize(
    ("asked", "api", "runs"),
    [
        ("veo-3.0-generate-001", "vertex", "veo-3.1-generate-001"),
        ("veo-3.0-generate-001", "gemini", "gemini-omni-1.2-flash"),
        ("veo-3.0-fast-generate-001", "vertex", "veo-3.1-fast-generate-001"),
        ("gemini-omni-flash-preview", "vertex", "gemini-omni-1.2-flash"),
        ("gemini-omni-flash-preview", None, "gemini-omni-1.2-flash"),
        ("gemini-omni-1.1-flash", "gemini", "gemini-omni-1.1-flash"),
    ],
)
def test_a_retired_model_is_served_by_its_successor_on_the_api(asked: str, api: str | None, runs: str) -> None:
    assert served(google(asked), api, TODAY, SHIPPED) is google(runs)


def test_a_model_runs_itself_until_the_day_of_its_retirement() -> None:
    model = google("veo-3.0-generate-001")
    assert served(model, "vertex", date(2026, 6, 29), SHIPPED) is model
    assert served(model, "vertex", date(2026, 6, 30), SHIPPED) is not model


def test_without_a_successor_on_the_api_nothing_serves_it() -> None:
    assert served(google("veo-3.0-generate-001"), None, TODAY, SHIPPED) is None
    assert served(google("veo-3.0-generate-001"), "elsewhere", TODAY, SHIPPED) is None


def test_successors_are_followed_until_one_is_alive(tmp_path: Path) -> None:
    chain = entry("acme", "one", "two", "three").split("[[models]]")
    chain[1] += "retired = 2026-01-01\nsuccessors = { any = 'two' }\n"
    chain[2] += "retired = 2026-02-01\nsuccessors = { any = 'three' }\n"
    (tmp_path / "acme.toml").write_text("[[models]]".join(chain))
    catalogue = load(tmp_path)
    assert served(catalogue.models()[0], "any API", TODAY, catalogue) is catalogue.find("acme", "three")
