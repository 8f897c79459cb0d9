"""Reading catalogue files, and the sentences that say what is wrong in one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rushes.catalogue.load import Catalogue, load
from rushes.errors import StartupError

HEAD = """
provider = "acme"
name = "Acme"
source = "acme.example: models"
checked = 2026-11-22
reserved_params = ["bucket"]
"""

MODEL = """
[[models]]
id = "one"
name = "One"
prompt_chars = 100
aspect_ratios = ["16:9"]
resolutions = ["720p"]
durations_s = [4, 8]
usual_s = 1.5
"""


def written(directory: Path, text: str, name: str = "acme.toml") -> Catalogue:
    (directory / name).write_text(text, encoding="utf-8")
    return load(directory)


def test_a_model_is_found_by_provider_and_id(tmp_path: Path) -> None:
    catalogue = written(tmp_path, HEAD + MODEL)
    model = catalogue.find("acme", "one")
    assert model is not None
    assert (model.provider, model.usual_s, model.source) == ("acme", 1.5, "acme.example: models")
    assert catalogue.find("acme", "One") is None
    assert catalogue.find("other", "one") is None


def test_providers_come_in_order_of_file_name(tmp_path: Path) -> None:
    (tmp_path / "zenith.toml").write_text(HEAD.replace("acme", "zenith") + MODEL)
    (tmp_path / "notes.txt").write_text("not a catalogue file")
    catalogue = written(tmp_path, HEAD + MODEL)
    assert catalogue.providers == ("acme", "zenith")
    assert [model.provider for model in catalogue.models()] == ["acme", "zenith"]
    assert [model.provider for model in catalogue.offering("one")] == ["acme", "zenith"]
    assert [model.provider for model in catalogue.models("zenith")] == ["zenith"]
    assert catalogue.models("nobody") == ()


def test_what_is_known_of_a_provider_is_found(tmp_path: Path) -> None:
    catalogue = written(tmp_path, HEAD + MODEL)
    entry = catalogue.find_provider("acme")
    assert entry is not None
    assert (entry.name, entry.reserved_params) == ("Acme", ("bucket",))
    assert catalogue.find_provider("nobody") is None


def test_a_model_may_name_its_own_source(tmp_path: Path) -> None:
    catalogue = written(tmp_path, HEAD + MODEL + 'source = "elsewhere"\n')
    assert catalogue.models()[0].source == "elsewhere"


def test_prices_are_exact_decimals(tmp_path: Path) -> None:
    catalogue = written(tmp_path, HEAD + MODEL + "prices = [{ usd_per_s = 0.10 }]\n")
    assert catalogue.models()[0].prices[0].usd_per_s == Decimal("0.10")


def test_a_missing_folder_is_a_startup_error(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["provider = ", 'provider = "acme"\nmodels = 3', 'provider = "acme"\nmodels = ["one"]', HEAD + 'colour = "red"'],
)
def test_a_file_of_the_wrong_shape_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartupError, match=r"'acme\.toml'"):
        written(tmp_path, text)


def test_a_provider_is_named_like_its_file(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"'other\.toml', field 'provider'"):
        written(tmp_path, HEAD + MODEL, name="other.toml")


def test_an_id_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="model 'one', field 'id'"):
        written(tmp_path, HEAD + MODEL + MODEL)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("colour = 'red'", "colour"),
        ("provider = 'other'", "provider"),
        ("audio = 'sometimes'", "audio"),
        ("inputs = { picture = 1 }", "inputs.picture"),
        ("inputs = { video = 0 }", "inputs"),
        ("released = 2026-02-01\nretired = 2026-01-01", "retired"),
        ("defaults = { aspect_ratio = '9:16' }", "defaults.aspect_ratio"),
        ("defaults = { resolution = '4k' }", "defaults.resolution"),
        ("defaults = { duration_s = 5 }", "defaults.duration_s"),
        ("defaults = { generate_audio = true }", "defaults.generate_audio"),
        ("audio = 'always'\ndefaults = { generate_audio = false }", "defaults.generate_audio"),
        ("max_n = 0", "max_n"),
        ("max_n = 11", "max_n"),
        ("max_n = 2\nn_per_call = 3", "n_per_call"),
        ("hold_s = -1", "hold_s"),
        ("deadline_s = 1", "deadline_s"),
        ("concurrency = 0", "concurrency"),
        ("prices = [{ usd_per_s = -1 }]", "prices"),
        ("prices = [{ usd_per_s = nan }]", "prices.0.usd_per_s"),
        ("prices = [{ usd_per_s = 1, resolution = '4k' }]", "prices.resolution"),
        ("upstream_ids = { west = 'uno' }", "upstream_ids"),
        ("input_rules = [{ role = 'video' }]", "input_rules"),
        ("inputs = { video = 1 }\ninput_rules = [{ role = 'video', durations_s = [5] }]", "input_rules.durations_s"),
        ("inputs.video = 1\ninput_rules = [{ role = 'video', resolutions = ['4k'] }]", "input_rules.resolutions"),
        ("option_rules = [{ resolution = '4k', durations_s = [4] }]", "option_rules"),
        ("tasks.extend = { durations_s = [7] }", "tasks"),
        ("inputs.video = 1\ntasks.extend = { durations_s = [7], duration_s = 4 }", "tasks.extend.duration_s"),
        ("inputs.video = 1\ntasks.dub = {}", "tasks.dub"),
        ("inputs.input_image = 1\ninput_limits.input_image = { most_s = 4 }", "input_limits.input_image"),
        ("input_limits.video = { most_s = 4 }", "input_limits"),
        ("most_inputs = 0", "most_inputs"),
        ("required_inputs = ['input_image']", "required_inputs"),
        ("prices = [{ resolution = '720p' }]", "prices"),
        ("prices = [{ usd_per_s = 1, usd_per_video = 1 }]", "prices"),
        ("prices = [{ usd_per_video = 1, counts_input_s = true, usd_per_input_s = 1 }]", "prices"),
        ("prices = [{ usd_per_video = 1, task = 'edit' }]", "prices.task"),
        ("successors = { any = 'nobody' }", "successors.any"),
        ("successors = { any = 'one' }", "successors.any"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_and_model(tmp_path: Path, line: str, field: str) -> None:
    with pytest.raises(StartupError) as caught:
        written(tmp_path, HEAD + MODEL + line)
    assert f"catalogue file 'acme.toml', model 'one', field '{field}'" in caught.value.message


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="model 'one', field 'prompt_chars'"):
        written(tmp_path, HEAD + MODEL.replace("prompt_chars = 100", ""))


@pytest.mark.parametrize("durations", ["[0]", "[8, 4]", "[4, 4]"])
def test_durations_are_positive_and_in_order(tmp_path: Path, durations: str) -> None:
    with pytest.raises(StartupError, match="field 'durations_s'"):
        written(tmp_path, HEAD + MODEL.replace("[4, 8]", durations))


def test_successors_that_lead_round_in_a_circle_are_refused(tmp_path: Path) -> None:
    two = MODEL.replace('"one"', '"two"')
    with pytest.raises(StartupError, match="circle"):
        written(tmp_path, f"{HEAD}{MODEL}successors = {{ any = 'two' }}\n{two}successors = {{ any = 'one' }}\n")


def test_a_successor_must_be_served_on_its_api(tmp_path: Path) -> None:
    two = MODEL.replace('"one"', '"two"') + "apis = ['east']\n"
    with pytest.raises(StartupError, match=r"model 'one', field 'successors\.west'"):
        written(tmp_path, f"{HEAD}{MODEL}successors = {{ west = 'two' }}\n{two}")
    assert written(tmp_path, f"{HEAD}{MODEL}successors = {{ east = 'two' }}\n{two}").models()


def test_an_upstream_id_belongs_to_an_api(tmp_path: Path) -> None:
    model = written(tmp_path, HEAD + MODEL + "apis = ['east', 'west']\nupstream_ids = { west = 'uno' }").models()[0]
    assert (model.upstream_id("west"), model.upstream_id("east"), model.upstream_id(None)) == ("uno", "one", "one")
