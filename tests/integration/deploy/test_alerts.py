"""The shipped alert rules, tried by Prometheus' own tool: each sees the first event of a process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rushes.telemetry.metrics import JOB_CODES, UNDELIVERED_CODES, Metrics
from tests.fixtures.time_limits import GENEROUS_S

ALERTS = Path(__file__).resolve().parents[3] / "deploy" / "alerts.yml"
REFERENCE = ALERTS.parents[1] / "docs" / "reference" / "metrics.md"
PROMTOOL = shutil.which("promtool")

FAILURES = 'rushes_job_failures_total{provider="google",model="veo",code="%s"}'
REFUSALS = 'rushes_provider_errors_total{provider="google",verb="%s",code="%s"}'
QUEUED = 'rushes_job_moves_total{provider="google",model="veo",state="queued"}'
LAG = 'rushes_event_loop_lag_seconds_bucket{le="%s"}'
SERVED = '{provider="google",model="veo"}'


@dataclass(frozen=True)
class Trial:
    """An alert that fires `at` this minute with these series, and not with the `calm` ones."""

    alert: str
    series: dict[str, str]
    calm: dict[str, str]
    labels: dict[str, str]
    at: str = "20m"


TRIALS = (
    Trial("RushesDown", {'up{job="rushes"}': "1x9 0x30"}, {'up{job="rushes"}': "1x40"}, {"job": "rushes"}),
    Trial("RushesDown", {"rushes_database_up": "1x9 0x30"}, {"rushes_database_up": "1x40"}, {}),
    Trial(
        "RushesNoWorker",
        {'rushes_workers{state="alive"}': "1x9 0x30"},
        {'rushes_workers{state="alive"}': "1x40"},
        {},
    ),
    Trial(
        "RushesHeartbeatLate",
        {"rushes_heartbeat_timestamp_seconds": "0+60x9 600x30"},
        {"rushes_heartbeat_timestamp_seconds": "0+60x40"},
        {},
    ),
    Trial(
        "RushesQueueOld",
        {f"rushes_queue_age_seconds{SERVED}": "0x9 901x30"},
        {f"rushes_queue_age_seconds{SERVED}": "900x40"},
        {"provider": "google", "model": "veo"},
    ),
    # A breaker has no series before its first trouble; this is a level, so nothing is missed.
    Trial(
        "RushesProviderAway",
        {'rushes_breaker_state{provider="google"}': "_x9 2x30"},
        {'rushes_breaker_state{provider="google"}': "1x40"},
        {"provider": "google"},
    ),
    *(
        Trial(
            "RushesPaidAndNotDelivered",
            {FAILURES % code: "0x9 1x40"},
            {FAILURES % code: "0x50", FAILURES % "provider_rejected": "0+1x50"},
            {"provider": "google", "code": code},
        )
        for code in UNDELIVERED_CODES
    ),
    Trial(
        "RushesJobsNeedOperator",
        {"rushes_jobs_needing_operator": "0x9 1x30"},
        {"rushes_jobs_needing_operator": "0x40"},
        {},
    ),
    *(
        Trial(
            "RushesKeyRefused",
            {REFUSALS % (verb, code): "0x9 1x30"},
            {REFUSALS % (verb, code): "0x40", REFUSALS % (verb, f"byok_{code}"): "0+1x40"},
            {"provider": "google"},
        )
        for verb, code in (("submit", "provider_auth"), ("poll", "provider_quota"))
    ),
    Trial(
        "RushesFailing",
        {FAILURES % "expired": "0x9 1x60", QUEUED: "0x9 1x60"},
        {FAILURES % "expired": "0x9 1x60", QUEUED: "0x9 10x60"},
        {"provider": "google"},
        at="30m",
    ),
    Trial(
        "RushesServerErrors",
        {"rushes_http_server_errors_total": "0x9 10+10x30"},
        {"rushes_http_server_errors_total": "0x9 1x30"},
        {},
    ),
    Trial(
        "RushesSlow",
        {LAG % "0.25": "0x40", LAG % "0.5": "0x9 60+60x40", LAG % "+Inf": "0x9 60+60x40"},
        {LAG % "0.25": "0+60x50", LAG % "0.5": "0+60x50", LAG % "+Inf": "0+60x50"},
        {},
        at="25m",
    ),
    *(
        Trial(alert, {series: f"{calm}x9 {bad}x30"}, {series: f"{calm}x40"}, labels)
        for alert, series, calm, bad, labels in (
            ("RushesDatabaseRefusesWrites", "rushes_database_writable", 1, 0, {}),
            ("RushesStorageAway", 'rushes_storage_up{instance="a"}', 1, 0, {"instance": "a"}),
            ("RushesDiskFull", "rushes_data_dir_free_bytes", 1_000_000_001, 999_999_999, {}),
            ("RushesClockWrong", "rushes_clock_ahead_seconds", -4, -6, {}),
            ("RushesSecretKeyMissing", "rushes_secret_keys_missing", 0, 1, {}),
            ("RushesDiskSlow", "rushes_database_writes_waiting", 1000, 1001, {}),
            ("RushesWebhooksLate", "rushes_webhook_age_seconds", 300, 301, {}),
        )
    ),
)


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_every_alert_is_tried_here() -> None:
    assert {trial.alert for trial in TRIALS} == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_each_alert_fires_at_the_first_event_and_is_silent_without_it(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    # promtool compares the annotations too, so the rules are tried without them.
    tried = [{name: value for name, value in rule.items() if name != "annotations"} for rule in rules()]
    content = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": f"{trial.alert} {'fires' if fires else 'is silent'}",
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": trial.at,
                        "alertname": trial.alert,
                        "exp_alerts": [{"exp_labels": trial.labels}] if fires else [],
                    }
                ],
            }
            for trial in TRIALS
            for fires, series in ((True, trial.series), (False, trial.calm))
        ],
    }
    # JSON is YAML.
    (tmp_path / "alerts.yml").write_text(json.dumps({"groups": [{"name": "rushes", "rules": tried}]}), "utf-8")
    (tmp_path / "test.yml").write_text(json.dumps(content), "utf-8")
    for command in (("check", "rules", str(ALERTS)), ("test", "rules", str(tmp_path / "test.yml"))):
        done = subprocess.run(
            [PROMTOOL, *command], capture_output=True, text=True, timeout=GENEROUS_S, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("codes", [JOB_CODES, UNDELIVERED_CODES])
def test_the_series_that_alerts_count_exist_at_zero_from_the_start(codes: tuple[str, ...]) -> None:
    metrics = Metrics()
    metrics.expect([("google", "veo")], codes)
    found = metrics.registry.get_sample_value
    served = {"provider": "google", "model": "veo"}
    for code in codes:
        assert found("rushes_job_failures_total", served | {"code": code}) == 0
    assert found("rushes_job_moves_total", served | {"state": "queued"}) == 0
    for code in ("provider_auth", "provider_quota"):
        for verb in ("submit", "poll", "find", "cancel", "fetch"):
            assert found("rushes_provider_errors_total", {"provider": "google", "verb": verb, "code": code}) == 0
    assert found("rushes_http_server_errors_total", {}) == 0


def test_every_metric_that_an_alert_names_is_documented() -> None:
    named = {name for rule in rules() for name in re.findall(r"rushes_\w+", rule["expr"])}
    documented = set(re.findall(r"`(rushes_\w+)`", REFERENCE.read_text("utf-8")))
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} <= documented
