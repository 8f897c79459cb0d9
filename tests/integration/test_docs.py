"""The documentation cannot lie: its routes exist, its settings are ours, its examples run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from docs import bounds, generate
from rushes.settings import Settings, load_settings
from tests.fixtures.service import Service
from tests.fixtures.time_limits import GENEROUS_S

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
BLOCK = re.compile(r"^```(bash|python) test\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROUTE = re.compile(r"`(GET|HEAD|POST|PUT|PATCH|DELETE) (/[^`\s]*)`")
USUAL_URL = "http://127.0.0.1:8080"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("docs"), RUSHES_TEST_HOLD_S=1).start()
    yield running
    running.finish()


def documented_routes(page: Path) -> set[tuple[str, str]]:
    return set(ROUTE.findall(page.read_text()))


async def routes_of(service: Service) -> set[tuple[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(f"{service.url}/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def test_every_route_is_documented(service: Service) -> None:
    assert await routes_of(service) - documented_routes(ROOT / "docs" / "reference" / "api.md") == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
async def test_every_documented_route_exists(service: Service, page: Path) -> None:
    assert documented_routes(page) - await routes_of(service) == set()


@pytest.mark.parametrize("path", generate.generated(), ids=name_of)
def test_what_is_generated_is_fresh(path: Path) -> None:
    assert path.read_text() == generate.generated()[path], "run `make docs`"


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_says_what_it_means(setting: str) -> None:
    assert Settings.model_fields[setting].description


def test_the_example_file_holds_the_defaults() -> None:
    top_level = generate.EXAMPLE.read_text().partition("\n# [")[0]
    given = [line[2:] for line in top_level.splitlines() if re.match(r"# \w+ = (?!\.\.\.)", line)]
    values = tomllib.loads("\n".join(given))
    assert Settings.model_validate(values).model_dump() == load_settings().model_dump()
    assert values.keys() == {
        name
        for name, field in Settings.model_fields.items()
        if field.default is not None and name not in ("providers", "net_allow", "limits")
    }


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=name_of)
def test_the_examples_run(service: Service, page: Path, tmp_path: Path) -> None:
    """All bash blocks of a page in one shell, then each python block; against our service instead of the usual one."""
    if shutil.which("curl") is None:
        pytest.skip("the examples use curl")
    text = page.read_text().replace(USUAL_URL, service.url).replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    blocks = BLOCK.findall(text)
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "RUSHES_DATA_DIR": str(service.data_dir),
        "KEY": (key := service.key().text),
        "RUSHES_API_KEY": key,
        "RUSHES_BASE_URL": service.url,
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
    }
    script = "\n".join(block for language, block in blocks if language == "bash")
    commands = [["bash", "-euo", "pipefail", "-c", script]]
    commands += [[sys.executable, "-c", block] for language, block in blocks if language == "python"]
    for command in commands:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=GENEROUS_S, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_queue_or_a_cache_without_a_row_is_found(tmp_path: Path) -> None:
    (tmp_path / "hoard.py").write_text("waiting = asyncio.Queue()\n")
    (tmp_path / "plain.py").write_text("waiting = []\n")
    assert bounds.unlisted(tmp_path) == ["hoard.py"]


def test_every_row_of_a_bound_is_of_a_module_that_is_there_and_names_a_metric_that_is_there() -> None:
    for module in {row.module for row in bounds.BOUNDS} | bounds.NOT_OF_A_SERVICE.keys() | bounds.WITHIN_A_CALL.keys():
        assert (bounds.SOURCE / module).is_file(), module
    metrics = (generate.ROOT / "docs/reference/metrics.md").read_text()
    for metric in re.findall(r"`(rushes_\w+)", bounds.bounds_page()):
        assert f"| `{metric}` |" in metrics, metric
