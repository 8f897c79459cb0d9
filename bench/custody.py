"""A result of 150 MB taken into our keeping: the memory it takes, in the service and in the child that probes it."""

from __future__ import annotations

import json
from pathlib import Path

from bench import lag, server
from bench.machine import children, forget_peak, peak_mb, resident_mb
from bench.report import Report, Row, show
from bench.stored import create_job, read_job, wait_for, working_folder

ROUNDS = 3
SIZE_BYTES = 150_000_000
SETTINGS = {"RUSHES_POLL_INTERVAL_S": "0.1"}
GROWTH_MB = 16.0


def measure() -> Report:
    """The report; about a quarter of a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    growth_mb: dict[str, list[float]] = {"of the service": [], "of its child": []}
    lags_ms = []
    with (
        server.gemini(folder / "upstream") as upstream,
        server.rushes(folder, **SETTINGS, **server.at_gemini(upstream)) as service,
    ):
        key = server.live_key(folder)
        # A small result first: what the first use of a connection, a thread or a codec takes is not the size's doing.
        _store(service.port, key, "ok")
        child = max(children(service.process_id), key=resident_mb)
        processes = {"of the service": service.process_id, "of its child": child}
        at_rest_mb = {whose: resident_mb(process) for whose, process in processes.items()}
        for _ in range(ROUNDS):
            for process in processes.values():
                forget_peak(process)
            with lag.probing(service.port) as probe:
                result = _store(service.port, key, "download-large")
            assert result["file_size"] == SIZE_BYTES, result
            lags_ms.append(probe.worst_ms)
            for whose, process in processes.items():
                growth_mb[whose].append(peak_mb(process) - at_rest_mb[whose])
    return Report(
        "Custody",
        f"A real video of {SIZE_BYTES / 1e6:.0f} MB, fetched over loopback, hashed, synced and probed; {ROUNDS} rounds"
        " of one. Growth is the resident set's peak in a round over what it was after a result of 2 kB.",
        [
            *(Row(f"memory growth {whose}", "MB", rounds, at_most=GROWTH_MB) for whose, rounds in growth_mb.items()),
            Row("event loop's worst lag", "ms", lags_ms),
        ],
    )


def _store(port: int, key: str, script: str) -> dict[str, object]:
    """Have one video generated whose download plays `script`; returns its result once it is ours."""
    body = {"model": "gemini-omni-1.2-flash", "prompt": f"a lighthouse #fake:{script}"}
    job_id = create_job(port, key, json.dumps(body).encode())
    wait_for(port, key, job_id)
    result = read_job(port, key, job_id)["result"]
    assert isinstance(result, dict)
    return result


if __name__ == "__main__":
    show(measure)
