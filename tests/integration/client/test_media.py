from __future__ import annotations

from pathlib import Path

import pytest

from rushes.client.media import LARGEST_INLINE_BYTES, MOST_INLINE_BYTES, with_media


async def upload(path: Path) -> str:
    return f"upload of {path.name}"


async def no_upload(path: Path) -> str:
    raise AssertionError(f"{path} was uploaded")


def sparse(file: Path, size_bytes: int) -> Path:
    with file.open("wb") as opened:
        opened.truncate(size_bytes)
    return file


async def test_text_is_sent_as_it_is() -> None:
    options = await with_media({"input_image": "HTTPS://example.com/a.png", "seed": 0}, no_upload)
    assert options == {"input_image": "HTTPS://example.com/a.png", "seed": 0}


async def test_a_small_file_travels_inside_the_request(tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"\x89PNG")
    options = await with_media({"last_frame": file, "reference_images": [file, "reference"]}, no_upload)
    assert options == {"last_frame": "iVBORw==", "reference_images": ["iVBORw==", "reference"]}


async def test_a_large_file_is_uploaded_first(tmp_path: Path) -> None:
    file = sparse(tmp_path / "film.mp4", LARGEST_INLINE_BYTES + 1)
    assert await with_media({"video": file}, upload) == {"video": "upload of film.mp4"}


async def test_many_small_files_do_not_make_a_request_too_large(tmp_path: Path) -> None:
    file = sparse(tmp_path / "image.png", LARGEST_INLINE_BYTES)
    inline = MOST_INLINE_BYTES // LARGEST_INLINE_BYTES
    sent = await with_media({"reference_images": [file] * (inline + 2)}, upload)
    assert sent["reference_images"][inline:] == ["upload of image.png"] * 2


async def test_a_file_that_is_not_there_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await with_media({"input_image": tmp_path / "none.png"}, no_upload)
