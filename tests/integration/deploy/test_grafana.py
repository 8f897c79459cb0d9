"""The Grafana dashboards: written from their list, and each query answered by a real Prometheus that scrapes us."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.grafana.dashboards import DASHBOARDS, FOLDER, Dashboard, Panel, dashboard_json
from tests.fixtures.ports import free_port
from tests.fixtures.service import Client, Service
from tests.fixtures.time_limits import GENEROUS_S

PROMETHEUS = shutil.which("prometheus")
METRIC = re.compile(r"\b((?:rushes|process)_[a-z_]+)\b")
LABELS = re.compile(r"\{[^}]*\}|by \([^)]*\)")
METRICS_PAGE = FOLDER.parent.parent / "docs" / "reference" / "metrics.md"
PANELS = [panel for dashboard in DASHBOARDS for panel in dashboard.panels]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_a_dashboard_is_written_from_its_list(dashboard: Dashboard) -> None:
    written = (FOLDER / f"{dashboard.name}.json").read_text()
    assert written == dashboard_json(dashboard), "run: python deploy/grafana/dashboards.py"


def test_every_file_is_of_the_list() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == {dashboard.name for dashboard in DASHBOARDS}


def test_every_metric_is_on_a_panel() -> None:
    documented = set(re.findall(r"^\| `(rushes_\w+)`", METRICS_PAGE.read_text(), re.MULTILINE))
    shown = {re.sub("_(bucket|count|sum)$", "", metric) for panel in PANELS for metric in metrics_of(panel)}
    assert documented - shown == set()


@asynccontextmanager
async def prometheus_of(folder: Path, service: Service) -> AsyncIterator[str]:
    """A Prometheus that scrapes the service every second, and its address."""
    assert PROMETHEUS is not None
    port = free_port()
    configuration = folder / "prometheus.yml"
    scrape = {"job_name": "rushes", "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}
    configuration.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def query(session: aiohttp.ClientSession, url: str, expression: str) -> list[object]:
    async with session.post(f"{url}/api/v1/query", data={"query": expression}) as answer:
        content = await answer.json()
    assert content["status"] == "success", f"{expression}: {content}"
    found: list[object] = content["data"]["result"]
    return found


async def answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        return len(await query(session, url, "count_over_time(rushes_build_info[1m]) > 1")) > 0
    except aiohttp.ClientError:
        return False


def metrics_of(panel: Panel) -> set[str]:
    """The metrics that a panel's queries name."""
    names: set[str] = set()
    for expression in panel.queries.values():
        names |= set(METRIC.findall(LABELS.sub("", expression)))
    return names


@pytest.mark.skipif(PROMETHEUS is None, reason="Debian's package prometheus is not installed")
async def test_prometheus_answers_every_query(tmp_path: Path) -> None:
    service = Service(tmp_path).start()
    try:
        async with aiohttp.ClientSession() as session, Client(service, service.key(test=True).text) as client:
            job = await client.create(prompt="a mole")
            await client.completed([job["job_id"]])
            async with session.get(f"{service.url}/metrics") as answer:
                exported = await answer.text()
            async with prometheus_of(tmp_path, service) as url:
                async with asyncio.timeout(GENEROUS_S):
                    while not await answers(session, url):  # noqa: ASYNC110 - it is another process
                        await asyncio.sleep(0.2)
                for panel in PANELS:
                    for expression in panel.queries.values():
                        await query(session, url, expression)
                    for metric in metrics_of(panel):
                        assert re.search(
                            rf"^# TYPE {re.sub('_(bucket|count|sum)$', '', metric)} ", exported, re.MULTILINE
                        ), f"panel '{panel.title}' names the metric '{metric}', which the service does not export"
    finally:
        service.finish()
