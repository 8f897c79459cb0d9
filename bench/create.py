"""POST /videos/generations, durable: how many a second, and how close one comes to the disk's own time."""

from __future__ import annotations

from pathlib import Path

from bench import lag, load, server
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
BEYOND_DISK_MS = 2.0


def measure() -> Report:
    """The report; about half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    many: list[load.Round] = []
    cost_us, disk_p99_ms, single_p99_ms, single_p50_ms, disk_p50_ms, lags_ms = [], [], [], [], [], []
    with server.rushes(folder, **server.NO_RENDERING) as service:
        messages = [load.request("POST", GENERATIONS, key=server.test_key(folder), body=GENERATION)]
        # One at a time first: it is not to meet what thousands of held jobs may cost.
        load.run(service.port, messages, connections=1, seconds=WARM_UP_S, most=WARM_UP)
        for _ in range(ROUNDS):
            synced_s = fsync_times_s(folder, SINGLE)
            single = load.run(service.port, messages, connections=1, seconds=load.LONGEST_S, most=SINGLE)
            disk_p50_ms.append(percentile_ms(synced_s, 50))
            disk_p99_ms.append(percentile_ms(synced_s, 99))
            single_p50_ms.append(percentile_ms(single.latencies_s, 50))
            single_p99_ms.append(percentile_ms(single.latencies_s, 99))
        load.run(service.port, messages, connections=CONNECTIONS, seconds=WARM_UP_S)
        for _ in range(ROUNDS):
            with lag.probing(service.port) as probe:
                before_s = computed_s(service.process_id)
                one = load.run(service.port, messages, connections=CONNECTIONS, seconds=ROUND_S)
            many.append(one)
            cost_us.append((computed_s(service.process_id) - before_s) * 1e6 / len(one.latencies_s))
            lags_ms.append(probe.worst_ms)
    rate = Row(f"creates at {CONNECTIONS} connections", "1/s", [one.per_second for one in many])
    # What one after the other could do at best, had each create its own fsync.
    alone = Row("fsyncs one after the other", "1/s", [1000 / one for one in disk_p50_ms])
    beyond_ms = [one - other for one, other in zip(single_p99_ms, disk_p99_ms, strict=True)]
    return Report(
        "Create",
        f"POST of one body with a test key, synchronous=FULL on {file_system(folder)}, jobs held in the queue;"
        f" {ROUNDS} rounds of {ROUND_S:.0f} s after {WARM_UP_S:.0f} s of warm-up;"
        f" at one connection {ROUNDS} rounds of {SINGLE} creates, each after {SINGLE} appended and synced 4 KiB pages.",
        [
            rate,
            Row(
                f"create at {CONNECTIONS} connections, p99", "ms", [percentile_ms(one.latencies_s, 99) for one in many]
            ),
            Row("processor time of a create", "µs", cost_us),
            alone,
            ratio("creates per fsync that the disk could do alone", rate, alone),
            Row("one fsync, p50", "ms", disk_p50_ms),
            Row("create at one connection, p50", "ms", single_p50_ms),
            Row("one fsync, p99", "ms", disk_p99_ms),
            Row("create at one connection, p99", "ms", single_p99_ms),
            Row("the create's p99 beyond the disk's", "ms", beyond_ms, at_most=BEYOND_DISK_MS),
            Row("event loop's worst lag under load", "ms", lags_ms),
            Row("load's own core", "busy", [one.busy for one in many]),
        ],
    )


if __name__ == "__main__":
    show(measure)
