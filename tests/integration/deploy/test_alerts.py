"""The shipped alert rules, tried by Prometheus' own tool: each sees the first event of a process."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rushes.telemetry.metrics import Metrics

ALERTS = Path(__file__).resolve().parents[3] / "deploy" / "alerts.yml"
PROMTOOL = shutil.which("promtool")
GENEROUS_S = 240

FAILURE = 'rushes_job_failures_total{provider="google",model="veo",code="output_lost"}'
REFUSAL = 'rushes_provider_errors_total{provider="google",verb="submit",code="provider_auth"}'
QUEUED = 'rushes_job_moves_total{provider="google",model="veo",state="queued"}'


def test_the_series_that_alerts_watch_exist_at_zero_from_the_start() -> None:
    metrics = Metrics()
    metrics.expect([("google", "veo")])
    found = metrics.registry.get_sample_value
    served = {"provider": "google", "model": "veo"}
    for code in ("output_lost", "submission_unknown", "provider_rejected", "expired"):
        assert found("rushes_job_failures_total", served | {"code": code}) == 0
    assert found("rushes_job_moves_total", served | {"state": "queued"}) == 0
    for code in ("provider_auth", "provider_quota"):
        assert found("rushes_provider_errors_total", {"provider": "google", "verb": "submit", "code": code}) == 0


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    ("alert", "series", "at", "labels"),
    [
        ("RushesPaidAndNotDelivered", {FAILURE: "0x9 1x30"}, "11m", {"provider": "google", "code": "output_lost"}),
        ("RushesKeyRefused", {REFUSAL: "0x9 1x30"}, "11m", {"provider": "google"}),
        ("RushesFailing", {FAILURE: "0x9 1x60", QUEUED: "0x9 1x60"}, "30m", {"provider": "google"}),
        ("RushesNoWorker", {'rushes_workers{state="alive"}': "0x30"}, "5m", {}),
    ],
)
def test_an_alert_fires_at_the_first_event(
    tmp_path: Path, alert: str, series: dict[str, str], at: str, labels: dict[str, str]
) -> None:
    done = _tried(tmp_path, alert, series, at, [labels])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    ("alert", "series"),
    [("RushesPaidAndNotDelivered", {FAILURE: "0x60"}), ("RushesKeyRefused", {REFUSAL: "0x60"})],
)
def test_an_alert_is_silent_without_an_event(tmp_path: Path, alert: str, series: dict[str, str]) -> None:
    done = _tried(tmp_path, alert, series, "30m", [])
    assert done.returncode == 0, done.stdout + done.stderr


def _tried(
    folder: Path, alert: str, series: dict[str, str], at: str, expected: list[dict[str, str]]
) -> subprocess.CompletedProcess[str]:
    # promtool compares the annotations too, so the rules are tried without them.
    lines = [line for line in ALERTS.read_text("utf-8").splitlines() if "annotations:" not in line]
    (folder / "alerts.yml").write_text("\n".join(lines) + "\n", "utf-8")
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": at,
                        "alertname": alert,
                        "exp_alerts": [{"exp_labels": labels} for labels in expected],
                    }
                ],
            }
        ],
    }
    # JSON is YAML.
    (folder / "test.yml").write_text(json.dumps(test), "utf-8")
    assert PROMTOOL is not None
    return subprocess.run(
        [PROMTOOL, "test", "rules", str(folder / "test.yml")],
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )
