"""What a server answers, in our terms."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.domain.progress import Done, Failed, Working
from rushes.errors import ProviderAuth, ProviderRejected, ProviderUnavailable, UnexpectedResponse
from rushes.providers.comfyui.graph import Place
from rushes.providers.comfyui.reply import (
    fraction_of,
    is_too_old,
    progress_of,
    uploaded_name,
    videos_of,
    why_refused,
)
from rushes.providers.failure import Raw, Reply

HANDLE: dict[str, object] = {"version": 1, "id": "a", "output": "80"}


def file(name: str, kind: str = "output") -> dict[str, str]:
    return {"filename": name, "subfolder": "rushes", "type": kind}


def progress(job: dict[str, Any], status: int = 200) -> Done | Failed | Working:
    return progress_of(Reply(status, job), HANDLE, server="'comfy'", secret="")


@pytest.mark.parametrize("word", ["pending", "in_progress"])
def test_a_job_that_waits_or_runs_is_working(word: str) -> None:
    assert progress({"status": word}) == Working()


@pytest.mark.parametrize("word", ["completed", "failed", "cancelled"])
def test_a_video_of_the_output_node_is_the_result_however_the_job_ended(word: str) -> None:
    ended = progress({"status": word, "outputs": {"80": {"gifs": [file("a-audio.mp4")]}}})
    assert ended == Done(({"version": 1, "filename": "a-audio.mp4", "subfolder": "rushes", "type": "output"},))


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"status": "completed", "outputs": {"80": {"images": [file("a.png")]}}}, "no_video"),
        ({"status": "completed", "outputs": {"81": {"images": [file("a.mp4")]}}}, "no_video"),
        ({"status": "completed"}, "no_video"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "failed"}, "failed"),
    ],
)
def test_an_end_without_a_video_of_the_output_node_is_a_failure(job: dict[str, Any], code: str) -> None:
    ended = progress(job)
    assert isinstance(ended, Failed)
    assert ended.error.provider_error == code


@pytest.mark.parametrize("word", ["preheating", None, 3])
def test_an_unknown_status_is_never_guessed(word: object) -> None:
    with pytest.raises(UnexpectedResponse):
        progress({"status": word})


def test_only_the_servers_own_404_ends_a_job() -> None:
    assert isinstance(progress({"error": "Job not found"}, 404), Failed)
    for body in ({"error": "no route"}, {}, Raw("404: Not Found")):
        with pytest.raises(ProviderUnavailable):
            progress_of(Reply(404, body), HANDLE, server="'comfy'", secret="")


def test_without_an_output_node_every_saved_video_counts_and_no_preview() -> None:
    job = {"outputs": {"1": {"images": [file("a.mp4", "temp")]}, "2": {"gifs": [file("b.webm")], "text": ["x"]}}}
    assert [video["filename"] for video in videos_of(job, None)] == ["b.webm"]
    assert [video["filename"] for video in videos_of(job, "1")] == ["a.mp4"]


@pytest.mark.parametrize(
    ("nodes", "steps", "fraction"),
    [
        ({}, ["3"], 0.0),
        ({"3": {"value": 5, "max": 20, "state": "running"}}, ["3"], 0.25),
        ({"3": {"value": 1, "max": 1, "state": "finished"}, "4": {"value": 5, "max": 10}}, ["3", "4"], 0.75),
        ({"1": {"value": 1, "max": 1, "state": "finished"}}, [], 0.25),
        ({"3": {"value": "x", "max": 0}}, ["3"], 0.0),
        ({"3": {"value": 30, "max": 20}}, ["3"], 1.0),
        ({"3": None}, ["3"], 0.0),
    ],
)
def test_progress_is_that_of_the_nodes_that_count(nodes: dict[str, Any], steps: list[str], fraction: float) -> None:
    assert fraction_of({"nodes": nodes}, steps, 4) == fraction


def test_a_refusal_names_the_node_the_input_and_what_is_allowed() -> None:
    error = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "unet_name: 'x' not in ['a']",
        "extra_info": {"input_name": "unet_name", "input_config": [["a"], {}]},
    }
    body = {
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
        "node_errors": {"37": {"class_type": "UNETLoader", "errors": [error]}},
    }
    graph = {"37": {"class_type": "UNETLoader", "inputs": {}, "_meta": {"title": "Model"}}}
    refused = why_refused(Reply(400, body), graph, [], server="'comfy'", secret="")
    assert refused.message == (
        "the workflow does not fit 'comfy': node '37' ('Model', UNETLoader), input 'unet_name': Value not in list: "
        "unet_name: 'x' not in ['a']; allowed are 'a'"
    )
    bound = why_refused(Reply(400, body), graph, [Place("37", "unet_name")], server="'comfy'", secret="")
    assert bound.message.startswith("'comfy' refused the request: node '37'")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"type": "missing_node_type", "message": "Node 'X' not found."}}, ProviderRejected),
        (400, {}, ProviderRejected),
        (413, Raw("too large"), ProviderRejected),
        (401, {"error": "no"}, ProviderAuth),
        (403, Raw(""), ProviderAuth),
        (500, Raw("500"), ProviderUnavailable),
    ],
)
def test_a_refusal_without_nodes_is_one_of_our_errors(status: int, body: object, kind: type[Exception]) -> None:
    assert isinstance(why_refused(Reply(status, body), {}, [], server="'comfy'", secret=""), kind)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"name": "a.png", "subfolder": "rushes", "type": "temp"}, "rushes/a.png [temp]"),
        ({"name": "a.png", "subfolder": "", "type": "input"}, "a.png"),
        ({"subfolder": "rushes"}, None),
        (Raw(""), None),
    ],
)
def test_an_uploaded_file_has_the_name_that_workflows_know_it_by(body: object, name: str | None) -> None:
    assert uploaded_name(Reply(200, body)) == name


@pytest.mark.parametrize(
    ("version", "too_old"), [("0.25.9", True), ("0.3.64", True), ("0.26.0", False), ("v1.2", False), ("dev", False)]
)
def test_releases_before_0_26_are_too_old(version: str, too_old: bool) -> None:
    assert is_too_old(version) is too_old
