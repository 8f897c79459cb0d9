"""What agents are given to read is served, and is true: the skill's commands make a video."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.fixtures.service import Key, Service

BASH = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROUTE = re.compile(r"`(GET|POST) (/[^`\s]*)`")


def fetched(service: Service, path: str) -> tuple[str, Any]:
    with urlopen(service.url + path) as answer:
        return answer.read().decode(), answer.headers


def test_the_commands_of_the_skill_make_a_video(service: Service, key: Key, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the skill uses curl")
    skill, headers = fetched(service, "/SKILL.md")
    assert headers.get_content_type() == "text/markdown"
    blocks = BASH.findall(skill)
    assert len(blocks) == 6
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={"PATH": os.defpath, "RUSHES_BASE_URL": service.url, "RUSHES_API_KEY": key.text},
        check=True,
        timeout=100,
    )
    assert json.loads((tmp_path / "job.json").read_text())["status"] == "completed"
    assert (tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_skill_says_what_it_is_for(service: Service) -> None:
    skill, _ = fetched(service, "/SKILL.md")
    _, front_matter, _ = skill.split("---\n", 2)
    assert re.search(r"^name: [a-z-]+$", front_matter, re.MULTILINE)
    assert re.search(r"^description: .{50}", front_matter, re.MULTILINE)


def test_the_overview_names_routes_and_links_that_exist(service: Service) -> None:
    overview, headers = fetched(service, "/llms.txt")
    assert headers.get_content_type() == "text/plain"
    assert overview.startswith("# rushes\n\n> ")
    paths = json.loads(fetched(service, "/openapi.json")[0])["paths"]
    named = ROUTE.findall(overview)
    assert len(named) > 8
    assert [route for route in named if route[0].lower() not in paths.get(route[1], {})] == []
    links = re.findall(r"\]\((/[^)]*)\)", overview)
    assert links
    for link in links:
        fetched(service, link)


def test_a_caller_that_has_it_already_is_not_sent_it_again(service: Service) -> None:
    _, headers = fetched(service, "/llms.txt")
    with (
        pytest.raises(HTTPError) as raised,
        urlopen(Request(service.url + "/llms.txt", headers={"If-None-Match": headers["ETag"]})),
    ):
        pass
    with raised.value as answer:
        assert answer.code == 304
