"""An adapter from another package: built, installed beside rushes, and used to make a video."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from tests.contract.test_adding_a_provider import FILE, PAGE
from tests.fixtures.service import Client, Service
from tests.fixtures.upstreams.beside import beside

KEY = "films-outside-0123456789"
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "rushes-example"
version = "1.0"

[project.entry-points."rushes.providers"]
example = "rushes_example:PROVIDER"

[tool.hatch.build.targets.wheel]
packages = ["rushes_example"]
"""
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
OPENED = "open=_open)\n"
IMPORTED = "from enum import Enum, auto\n"


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    """The files of the page on adding a provider."""
    return {Path(path).as_posix(): content for path, content in FILE.findall(PAGE.read_text("utf-8"))}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, page: dict[str, str]) -> Path:
    """A folder of packages with the page's adapter in it, as a package of its own."""
    source = tmp_path_factory.mktemp("source")
    package = source / "rushes_example"
    package.mkdir()
    (source / "pyproject.toml").write_text(PROJECT, "utf-8")
    adapter = page["src/rushes/providers/example.py"]
    assert OPENED in adapter
    assert IMPORTED in adapter
    adapter = adapter.replace(OPENED, 'open=_open, catalogue=files("rushes_example") / "example.toml")\n')
    adapter = adapter.replace(IMPORTED, f"{IMPORTED}from importlib.resources import files\n")
    (package / "__init__.py").write_text(adapter, "utf-8")
    (package / "example.toml").write_text(page["src/rushes/catalogue/example.toml"], "utf-8")
    wheels = tmp_path_factory.mktemp("wheels")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(wheels)], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    target = tmp_path_factory.mktemp("site")
    (wheel,) = wheels.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory, page: dict[str, str]) -> ModuleType:
    """The page's fake upstream."""
    file = tmp_path_factory.mktemp("fake") / "example_upstream.py"
    file.write_text(page["tests/fixtures/upstreams/example.py"], "utf-8")
    spec = importlib.util.spec_from_file_location("example_upstream", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def beside_others(installed: Path) -> str:
    return os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))


async def test_a_video_is_made_by_an_adapter_from_another_package(
    tmp_path: Path, installed: Path, upstream: ModuleType
) -> None:
    with beside(upstream.Example(KEY)) as fake:
        service = Service(
            tmp_path,
            PYTHONPATH=beside_others(installed),
            EXAMPLE_FILMS_API_KEY=KEY,
            RUSHES_PROVIDERS__EXAMPLE__BASE_URL=fake.base_url,
            RUSHES_NET_ALLOW__RESULTS="127.0.0.1/32",
        ).start()
        try:
            async with Client(service, service.key(test=False).text) as client:
                accepted = (await client.generate(prompt="a kite", model="example/kite-1", seed=0)).ok()
                job = await client.reached(accepted["job_id"])
                assert (job["status"], job["provider"], job["served_model"]) == ("completed", "example", "kite-1")
                assert job["result"]["file_size"] > 0
        finally:
            service.finish()
        submitted = [sent.json for sent in fake.requests if sent.method == "POST"]
        assert [sent["seed"] for sent in submitted] == [0]


def test_a_package_that_declares_a_provider_twice_stops_the_start(tmp_path: Path, installed: Path) -> None:
    twin = tmp_path / "twin"
    (twin / "twin-1.0.dist-info").mkdir(parents=True)
    (twin / "twin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 1.0\n", "utf-8")
    (twin / "twin-1.0.dist-info" / "entry_points.txt").write_text(
        "[rushes.providers]\ntwin = rushes_example:PROVIDER\n", "utf-8"
    )
    service = Service(tmp_path, PYTHONPATH=os.pathsep.join([str(twin), beside_others(installed)]))
    refused = service.run("serve", "--port", "0")
    assert refused.returncode != 0
    assert "declares the provider 'example', which another adapter has already" in refused.stderr
