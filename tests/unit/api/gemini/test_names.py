"""Names of Google's shape, made from a job's id and read back."""

from __future__ import annotations

import pytest

from rushes.api.gemini.names import FileName, file_at, file_named, operation_id, published_model
from rushes.errors import NotFound
from rushes.ids import new_id

JOB = "job_0123456789abcdefghjkmnpq"
FILE = "0123456789abcdefghjkmnpq3"


def test_a_files_id_has_only_what_googles_client_takes_for_one() -> None:
    job_id = new_id("job")
    name = str(FileName(job_id, 9))
    assert name.isalnum()
    assert name == name.lower()
    assert file_named(name) == FileName(job_id, 9)


@pytest.mark.parametrize(
    "name", [FILE, f"files/{FILE}", f"http://localhost:8080/v1beta/files/{FILE}", f"http://a/files/b/files/{FILE}"]
)
def test_a_file_is_found_by_its_id_also_at_the_end_of_an_address(name: str) -> None:
    assert file_named(name) == FileName(JOB, 3)


@pytest.mark.parametrize("name", ["", "job_1", FILE[:-1], f"{FILE}x", FILE.upper(), f"{FILE}/x", "files/"])
def test_what_is_no_id_of_ours_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="not found"):
        file_named(name)


@pytest.mark.parametrize(
    "address",
    [
        f"https://video.example.com/v1beta/files/{FILE}:download?alt=media",
        f"https://video.example.com/prefix/v1/files/{FILE}:download?alt=media&key=secret",
        f"https://generativelanguage.googleapis.com/v1beta/files/{FILE}",
        f"files/{FILE}",
        f"files/{FILE}:download?alt=media",
    ],
)
def test_an_address_of_ours_leads_to_its_video(address: str) -> None:
    assert file_at(address) == FileName(JOB, 3)


@pytest.mark.parametrize(
    "address", ["https://a.example/film.mp4", "upload_1", f"https://a.example/?x=files/{FILE}", ""]
)
def test_another_address_does_not(address: str) -> None:
    assert file_at(address) is None


def test_an_operation_is_named_by_its_last_part() -> None:
    assert operation_id(f"models/a/b/operations/{JOB}") == JOB
    assert operation_id(f"projects/p/locations/l/publishers/google/models/veo/operations/{JOB}") == JOB
    assert operation_id(JOB) == JOB


def test_another_publisher_is_a_provider_of_ours() -> None:
    assert published_model("google", "veo-3.1-generate-001") == "veo-3.1-generate-001"
    assert published_model("google", "seedance/seedance-2.0") == "seedance/seedance-2.0"
    assert published_model("seedance", "seedance-2.0") == "seedance/seedance-2.0"
