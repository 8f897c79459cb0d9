"""Makes the console's pictures from a real service in a real Chromium: `make screenshots`.

Each is `docs/images/console-NAME.webp`, in the light theme; the videos in them are drawn by the embedded animatic.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).resolve().parent / "images"
RUSHES = str(Path(sys.executable).parent / "rushes")
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WINDOW: ViewportSize = {"width": 1280, "height": 800}
WIDTH = 1280
MOST_BYTES = 150_000
START_S = 60.0
JOBS_S = 180.0
PROMPTS = (
    "A lighthouse in a storm, waves over the rocks",
    "A paper boat on a rainy street, seen from just above the water",
    "Fog lifts from a pine forest at dawn",
    "A red kite over dunes, slow pan to the sea",
    "Neon signs in the rain, a taxi waits",
    "A golden retriever playing in autumn leaves",
    "Snow falls on a mountain railway station",
    "A glass of tea, steam in the morning light",
)
NAMES = ("jobs", "job", "playground")


def draw() -> None:
    """Write every picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    with TemporaryDirectory() as folder, _service(Path(folder)) as url:
        key = _rushes(Path(folder), "keys", "create", "--test").splitlines()[-1]
        jobs = _make_jobs(url, key)
        link = _rushes(Path(folder), "console", "--print", "--test", "--base-url", url).strip()
        with sync_playwright() as playwright:
            # Root may not use Chromium's sandbox, and the pages are ours.
            opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = opened.new_page(viewport=WINDOW, device_scale_factor=2, color_scheme="light")
            page.goto(link)
            page.wait_for_url("**/console/jobs")
            _picture(page, f"{url}/console/jobs", "jobs")
            _picture(page, f"{url}/console/jobs/{jobs[-1]}", "job")
            prompt = PROMPTS[1].replace(" ", "+")
            _picture(page, f"{url}/console/playground?model=google/veo-3.1-generate-001&prompt={prompt}", "playground")
            opened.close()


def path_of(name: str) -> Path:
    """Where a picture is kept."""
    return FOLDER / f"console-{name}.webp"


def _picture(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        height = round(shot.height * WIDTH / shot.width)
        shot.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS).save(path_of(name), quality=82, method=6)


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, "RUSHES_TEST_HOLD_S": "0"}
    process = subprocess.Popen(
        [RUSHES, "serve", "--port", str(port), "--data-dir", folder / "data"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: _get(f"{url}/healthz"), START_S)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _make_jobs(url: str, key: str) -> Sequence[str]:
    jobs = []
    for prompt in PROMPTS:
        body = {"prompt": prompt, "model": "google/veo-3.1-generate-001"}
        jobs.append(_get(f"{url}/api/v1/videos/generations", key, body)["job_id"])
    for job_id in jobs:
        _wait(lambda job_id=job_id: _get(f"{url}/api/v1/videos/jobs/{job_id}", key)["status"] == "completed", JOBS_S)
    return jobs


def _get(url: str, key: str | None = None, body: object = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


def _wait(holds: Any, within_s: float) -> None:
    give_up = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        if time.monotonic() > give_up:
            raise SystemExit(f"the service did not get there within {within_s:.0f} s")
        time.sleep(0.2)


def _rushes(folder: Path, *arguments: str) -> str:
    command = [RUSHES, *arguments, "--data-dir", str(folder / "data")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    draw()
