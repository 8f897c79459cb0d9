"""The operator's own catalogue: it adds and overrides models, and what is wrong in it is named with file and line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rushes.catalogue.load import Catalogue, Change, load, operators_changes
from rushes.errors import StartupError

NEW = """
[[models]]
id = "veo-9"
name = "Veo 9"
prompt_chars = 100
usual_s = 60
source = "a page"
checked = 2026-11-30
"""


def written(folder: Path, text: str, name: str = "google.toml") -> Catalogue:
    (folder / name).write_text(f'provider = "google"\n{text}', "utf-8")
    return load(operator=folder)


def refusal(folder: Path, text: str, name: str = "google.toml") -> str:
    with pytest.raises(StartupError) as caught:
        written(folder, text, name)
    return caught.value.message


def test_a_new_model_is_offered_beside_ours(tmp_path: Path) -> None:
    catalogue = written(tmp_path, NEW)
    model = catalogue.find("google", "veo-9")
    assert model is not None
    assert (model.name, model.source) == ("Veo 9", "a page")
    assert len(catalogue.models()) == len(load().models()) + 1


def test_fields_of_ours_are_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    ours = load().find("google", "veo-3.1-generate-001")
    text = """
[[models]]
id = "veo-3.1-generate-001"
retired = 2027-05-04
successors = { any = "gemini-omni-1.2-flash" }
prices = [{ usd_per_s = 0.33 }]
source = "our contract with Google"
checked = 2026-11-30
"""
    theirs = written(tmp_path, text).find("google", "veo-3.1-generate-001")
    assert ours is not None
    assert theirs is not None
    assert [price.usd_per_s for price in theirs.prices] == [Decimal("0.33")]
    assert theirs.model_dump(exclude={"retired", "successors", "prices", "source", "checked"}) == ours.model_dump(
        exclude={"retired", "successors", "prices", "source", "checked"}
    )


def test_what_is_changed_can_be_listed(tmp_path: Path) -> None:
    written(tmp_path, NEW + '\n[[models]]\nid = "veo-3.1-generate-001"\nusual_s = 70\ndeadline_s = 1300\n')
    assert operators_changes(tmp_path, load().models()) == [
        Change("google", "veo-9", None),
        Change("google", "veo-3.1-generate-001", ("usual_s", "deadline_s")),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{NEW}durations = [4]\n", "model 'veo-9', field 'durations' (line 10): there is no such field"),
        (f"{NEW}prices = [{{ usd_per_s = -1 }}]\n", "model 'veo-9', field 'prices' (line 10): -1 is not a price"),
        (NEW + NEW, "model 'veo-9', field 'id' (line 12): it is listed twice"),
        (
            '\n[[models]]\nid = "veo-3.1-generate-001"\nprices = [{ usd_per_s = 1 }]\n',
            "model 'veo-3.1-generate-001', field 'prices' (line 5): a price needs a source",
        ),
        (NEW.replace('source = "a page"\n', ""), "model 'veo-9', field 'source' (line 3): Field required"),
        ('\n[[models]]\nid = "veo-3.1-generate-001"\nmax_n = 12\n', "field 'max_n' (line 5)"),
        ('\n[[models]]\nid = "veo-3.1-generate-001"\n\n[models.defaults]\nresolution = "8k"\n', "(line 6)"),
        ('name = "Ours"\n', "field 'name' (line 2): it is the adapter's to say"),
        ("colour = 1\n", "field 'colour' (line 2): there is no such field"),
        ("[[models\n", "cannot be read: "),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    message = refusal(tmp_path, text)
    assert str(tmp_path / "google.toml") in message
    assert words in message


def test_a_provider_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text('provider = "acme"\n' + NEW, "utf-8")
    with pytest.raises(StartupError, match=r"acme\.toml', field 'provider' \(line 1\): there is no provider 'acme'"):
        load(operator=tmp_path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nowhere"):
        load(operator=tmp_path / "nowhere")
