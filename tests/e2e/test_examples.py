"""Every file of examples/ does what its first line says, against the real service."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import standardwebhooks

from tests.fixtures.service import Key, Service
from tests.fixtures.time_limits import GENEROUS_S

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes, or so").decode()


def environment(**more: str) -> dict[str, str]:
    source = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return {"PATH": os.defpath, **source, **more}


INTERPRETERS = {".sh": ("bash", "curl"), ".mjs": ("node", "node")}
"""By suffix: what runs an example, and what must be on the machine for it."""
PACKAGES = {"curl": "curl", "node": "nodejs"}


@pytest.mark.parametrize(
    "example", ["curl.sh", "python_client.py", "indoxhub_client.py", "openai_client.py", "events.mjs"]
)
def test_it_saves_a_video_and_prints_its_path(service: Service, key: Key, tmp_path: Path, example: str) -> None:
    interpreter, needed = INTERPRETERS.get(Path(example).suffix, (sys.executable, sys.executable))
    if shutil.which(needed) is None:
        pytest.skip(f"{example} needs {needed}; on Debian it is the package {PACKAGES[needed]}")
    done = subprocess.run(
        [interpreter, EXAMPLES / example],
        cwd=tmp_path,
        env=environment(HOME=str(tmp_path), RUSHES_BASE_URL=service.url, RUSHES_API_KEY=key.text),
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "lighthouse.mp4\n"), done.stderr
    assert (tmp_path / "lighthouse.mp4").read_bytes()[4:8] == b"ftyp"


@contextmanager
def receiver() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "webhook_receiver.py"],
        env=environment(WEBHOOK_SECRET=SECRET, PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def delivered(url: str, event: dict[str, Any], signed_by: str) -> int:
    now = datetime.now(UTC)
    body = json.dumps(event)
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": standardwebhooks.Webhook(signed_by).sign("msg_1", now, body),
    }
    try:
        with urlopen(Request(url, body.encode(), headers), timeout=GENEROUS_S) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_the_receiver_believes_who_holds_the_secret_and_nobody_else() -> None:
    with receiver() as (url, process):
        assert delivered(url, {"forged": True}, "whsec_" + base64.b64encode(b"x" * 24).decode()) == 400
        assert delivered(url, {"type": "a.b", "data": {"job_id": "job_1"}}, SECRET) == 204
        assert process.stdout is not None
        # The forged one was not printed: this is the first line.
        assert process.stdout.readline() == "{'type': 'a.b', 'data': {'job_id': 'job_1'}}\n"


def test_every_example_is_run_here() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [each.name for each in EXAMPLES.iterdir() if each.is_file() and f'"{each.name}"' not in here] == []
