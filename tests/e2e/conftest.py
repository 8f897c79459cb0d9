"""Services that the tests of one file share, and a way to start one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.fixtures.google import google_settings
from tests.fixtures.service import Client, Key, Service, mount_tmpfs, unmount
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.gemini import Gemini

Start = Callable[..., Service]
Tmpfs = Callable[[Path, str], Path]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that starts jobs at once."""
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which every job stays pending."""
    running = Service(tmp_path_factory.mktemp("held"), RUSHES_TEST_HOLD_S=3600).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def key(service: Service) -> Key:
    """A test key of the service."""
    return service.key()


@pytest.fixture
async def client(service: Service, key: Key) -> AsyncIterator[Client]:
    """A client with that key."""
    async with Client(service, key.text) as opened:
        yield opened


@pytest.fixture(scope="module")
def fake() -> Iterator[Gemini]:
    """A Gemini API that plays the script that a prompt names."""
    with beside(Gemini()) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory, fake: Gemini) -> Iterator[Service]:
    """A service that takes the fake for Google."""
    running = Service(tmp_path_factory.mktemp("google"), **google_settings(fake)).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def live_key(google: Service) -> str:
    """A live key of that service."""
    return google.key(test=False).text


@pytest.fixture
async def live(google: Service, live_key: str) -> AsyncIterator[Client]:
    """A client with that key."""
    async with Client(google, live_key) as opened:
        yield opened


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services of a test's own; settings are given by their full names."""
    services: list[Service] = []

    def start_one(
        *, running: bool = True, data_dir: Path | None = None, command: Sequence[str] = ("serve",), **settings: object
    ) -> Service:
        folder = tmp_path / f"service-{len(services)}"
        folder.mkdir()
        services.append(Service(folder, data_dir=data_dir, command=command, **settings))
        return services[-1].start() if running else services[-1]

    yield start_one
    for one in services:
        one.finish()


@pytest.fixture
def tmpfs() -> Iterator[Tmpfs]:
    """Mounts file systems of a few bytes; the test is skipped where that is not allowed."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> Path:
        trouble = mount_tmpfs(folder, options)
        if trouble is not None:
            pytest.skip(trouble)
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        unmount(folder)
