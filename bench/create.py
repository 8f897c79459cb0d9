"""POST /videos/generations, durable: how many a second, and how close one comes to the disk's own time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench import before, lag, load, server
from bench.machine import computed_s, file_system, fsync_times_s
from bench.report import Report, Row, percentile_ms, ratio, show
from bench.stored import GENERATION, GENERATIONS, working_folder

CONNECTIONS = 32
ROUNDS = 5
WARM_UP_S = 1.0
ROUND_S = 2.0
WARM_UP = 100
SINGLE = 300
"""Requests a round at one connection, and pages synced a round."""
BEYOND_DISK_MS = 1.5
OF_BEFORE = 0.55
"""What is left of the processor time that a create took before."""
LIMITS = (
    "What limits a create under load is the core. Three quarters of its processor time are the event loop's, in many"
    " small parts: the largest are the choice and check of the model, the answer, the body, the key and two lines of"
    " the log. The rest is the writer's, half of it in SQLite, which has 15 indexes to change for a job. Thirty creates"
    " share a commit, so the disk does not limit them. At one connection it does: what a create waits for is one sync."
)


@dataclass
class _Figures:
    """What was measured of one release, a value a round."""

    rates: list[float] = field(default_factory=list)
    p99s_ms: list[float] = field(default_factory=list)
    costs_us: list[float] = field(default_factory=list)
    single_p50_ms: list[float] = field(default_factory=list)
    single_p99_ms: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


def measure() -> Report:
    """The report; a minute, and one more where the release of before must be installed first."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    now, then = _Figures(), _Figures()
    disk_p50_ms, disk_p99_ms = [], []
    earlier = before.program()
    with (
        server.rushes(folder / "now", **server.NO_RENDERING) as service,
        server.rushes(folder / "then", earlier, **server.NO_RENDERING) as service_then,
    ):
        keys = server.key_in_test_mode(folder / "now"), server.key_in_test_mode(folder / "then", earlier)
        sides = [
            (figures, running, [load.request("POST", GENERATIONS, key=key, body=GENERATION)])
            for figures, running, key in zip((now, then), (service, service_then), keys, strict=True)
        ]
        # One at a time first: it is not to meet what thousands of held jobs may cost.
        for _, running, messages in sides:
            load.run(running.port, messages, connections=1, seconds=WARM_UP_S, most=WARM_UP)
        for _ in range(ROUNDS):
            synced_s = fsync_times_s(folder, SINGLE)
            disk_p50_ms.append(percentile_ms(synced_s, 50))
            disk_p99_ms.append(percentile_ms(synced_s, 99))
            for figures, running, messages in sides:
                single = load.run(running.port, messages, connections=1, seconds=load.LONGEST_S, most=SINGLE)
                figures.single_p50_ms.append(percentile_ms(single.latencies_s, 50))
                figures.single_p99_ms.append(percentile_ms(single.latencies_s, 99))
        for _, running, messages in sides:
            load.run(running.port, messages, connections=CONNECTIONS, seconds=WARM_UP_S)
        for _ in range(ROUNDS):
            for figures, running, messages in sides:
                _load(figures, running, messages)
    rate, cost = Row(f"creates at {CONNECTIONS} connections", "1/s", now.rates), _cost(now, "")
    rate_then, cost_then = Row(f"{rate.what}, before", "1/s", then.rates), _cost(then, ", before")
    # What one after the other could do at best, had each create its own fsync.
    alone = Row("fsyncs one after the other", "1/s", [1000 / one for one in disk_p50_ms])
    beyond_ms = [one - other for one, other in zip(now.single_p99_ms, disk_p99_ms, strict=True)]
    return Report(
        "Create",
        f"POST of one body with a test key, synchronous=FULL on {file_system(folder)}, jobs held in the queue;"
        f" {ROUNDS} rounds of {ROUND_S:.0f} s after {WARM_UP_S:.0f} s of warm-up;"
        f" at one connection {ROUNDS} rounds of {SINGLE} creates, each after {SINGLE} appended and synced 4 KiB pages."
        f" Before is {before.NAME}, a service of its own on the same core; the two take turns.",
        [
            rate,
            rate_then,
            ratio(f"{rate.what}, now / before", rate, rate_then),
            cost,
            cost_then,
            ratio(f"{cost.what}, now / before", cost, cost_then, at_most=OF_BEFORE),
            Row(f"create at {CONNECTIONS} connections, p99", "ms", now.p99s_ms),
            Row(f"create at {CONNECTIONS} connections, p99, before", "ms", then.p99s_ms),
            alone,
            ratio("creates per fsync that the disk could do alone", rate, alone),
            Row("one fsync, p50", "ms", disk_p50_ms),
            Row("create at one connection, p50", "ms", now.single_p50_ms),
            Row("create at one connection, p50, before", "ms", then.single_p50_ms),
            Row("one fsync, p99", "ms", disk_p99_ms),
            Row("create at one connection, p99", "ms", now.single_p99_ms),
            Row("create at one connection, p99, before", "ms", then.single_p99_ms),
            Row("the create's p99 beyond the disk's", "ms", beyond_ms, at_most=BEYOND_DISK_MS),
            Row("event loop's worst lag under load", "ms", now.lags_ms),
            Row("load's own core", "busy", now.busy),
        ],
        [LIMITS],
    )


def _load(figures: _Figures, service: server.Server, messages: list[bytes]) -> None:
    with lag.probing(service.port) as probe:
        before_s = computed_s(service.process_id)
        one = load.run(service.port, messages, connections=CONNECTIONS, seconds=ROUND_S)
        figures.costs_us.append((computed_s(service.process_id) - before_s) * 1e6 / len(one.latencies_s))
    figures.rates.append(one.per_second)
    figures.p99s_ms.append(percentile_ms(one.latencies_s, 99))
    figures.lags_ms.append(probe.worst_ms)
    figures.busy.append(one.busy)


def _cost(figures: _Figures, whose: str) -> Row:
    return Row(f"processor time of a create{whose}", "µs", figures.costs_us)


if __name__ == "__main__":
    show(measure)
