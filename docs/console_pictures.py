"""Makes the console's pictures from a real service in a real Chromium: `make screenshots`.

Each is `docs/images/console-NAME.webp`, in the light theme; the videos in them are drawn by the embedded animatic.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from docs.service import get, run_rushes, running_service, wait_until

FOLDER = Path(__file__).resolve().parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WINDOW: ViewportSize = {"width": 1280, "height": 800}
WIDTH = 1280
MOST_BYTES = 150_000
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
    with TemporaryDirectory() as folder, running_service(Path(folder)) as url:
        key = run_rushes(Path(folder), "keys", "create", "--test").splitlines()[-1]
        jobs = _make_jobs(url, key)
        link = run_rushes(Path(folder), "console", "--print", "--test", "--base-url", url).strip()
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


def _make_jobs(url: str, key: str) -> Sequence[str]:
    jobs = []
    for prompt in PROMPTS:
        body = {"prompt": prompt, "model": "google/veo-3.1-generate-001"}
        jobs.append(get(f"{url}/api/v1/videos/generations", key, body)["job_id"])
    for job_id in jobs:
        wait_until(
            lambda job_id=job_id: get(f"{url}/api/v1/videos/jobs/{job_id}", key)["status"] == "completed", JOBS_S
        )
    return jobs


if __name__ == "__main__":
    draw()
