from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.saving import LONGEST_SLUG, Destination, numbered, slug
from rushes.client import JobState, Video


def job(prompt: str = "A lake, at dawn!", n: int = 1, videos: int = 1, content_type: str = "video/mp4") -> JobState:
    video = Video("http://x", 1, None, content_type, 1, 1, 1)
    now = datetime(2026, 4, 7, tzinfo=UTC)
    return JobState(
        id="job_abcdef123456",
        status="completed",
        progress=100,
        model="m",
        provider="p",
        served_model="m",
        prompt=prompt,
        n=n,
        created_at=now,
        started_at=now,
        completed_at=now,
        error=None,
        error_code=None,
        cost_usd=0,
        cost_is_estimated=False,
        warnings=(),
        videos=(video,) * videos,
        content={},
    )


def names(destination: Destination, of: JobState) -> list[str]:
    return [path.name for path in destination.paths(of)]


def test_without_output_a_video_is_named_after_its_prompt_and_job() -> None:
    assert Destination(None, replace=False).paths(job()) == [Path("a-lake-at-dawn-123456.mp4")]


def test_in_a_folder_too(tmp_path: Path) -> None:
    assert Destination(str(tmp_path), replace=False).paths(job()) == [tmp_path / "a-lake-at-dawn-123456.mp4"]


def test_a_prompt_without_words_leaves_the_job() -> None:
    assert names(Destination(None, replace=False), job("?!")) == ["123456.mp4"]


def test_several_videos_are_numbered_before_the_suffix(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path / "x.tar.mp4"), replace=False)
    assert names(destination, job(n=3, videos=2)) == ["x.tar-1.mp4", "x.tar-2.mp4"]


def test_the_suffix_follows_the_type() -> None:
    assert names(Destination(None, replace=False), job(content_type="video/webm"))[0].endswith(".webm")


def test_a_folder_with_a_slash_is_made(tmp_path: Path) -> None:
    Destination(f"{tmp_path}/new/deep/", replace=False).check(1)
    assert (tmp_path / "new" / "deep").is_dir()


@pytest.mark.parametrize(("taken", "n"), [("a.mp4", 1), ("a-2.mp4", 2)])
def test_a_taken_name_is_found_before_anything_is_paid_for(tmp_path: Path, taken: str, n: int) -> None:
    (tmp_path / taken).touch()
    with pytest.raises(typer.BadParameter, match=f"{taken}' exists; --force replaces it"):
        Destination(str(tmp_path / "a.mp4"), replace=False).check(n)
    Destination(str(tmp_path / "a.mp4"), replace=True).check(n)


def test_a_folder_that_is_not_there_is_found_too(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="does not exist"):
        Destination(str(tmp_path / "no" / "a.mp4"), replace=False).check(1)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(typer.BadParameter, match="cannot be created"):
        Destination(f"{tmp_path}/file/", replace=False).check(1)


@given(st.text())
def test_a_slug_is_a_short_safe_file_name(prompt: str) -> None:
    made = slug(prompt)
    assert len(made.encode()) <= LONGEST_SLUG
    assert all(one.isalnum() or one == "-" or not one.isascii() for one in made)
    assert not made.startswith("-")


def test_one_video_keeps_its_name() -> None:
    assert numbered("a.mp4", 0, 1) == "a.mp4"
