"""A job of one video of 50 MB that is answered as `b64_json`: what that takes, and whom it keeps waiting."""

from __future__ import annotations

from pathlib import Path

from bench import lag, load, server
from bench.machine import forget_peak, peak_mb, resident_mb
from bench.receive import receive
from bench.report import Report, Row, show
from bench.stored import JOBS, enlarge_video, finish_a_job, working_folder

SIZE_BYTES = 50_000_000
ROUNDS = 5
AT_ONCE = 8
GROWTH_MB = 16.0
LAG_MS = 20.0


def measure() -> Report:
    """The report; about ten seconds."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    key, job_id = finish_a_job(folder, response_format="b64_json")
    enlarge_video(folder, job_id, SIZE_BYTES)
    speed, growth_mb, lags_ms, crowd_growth_mb, crowd_lags_ms = [], [], [], [], []
    with server.rushes(folder, **server.NO_RENDERING) as service:
        request = load.request("GET", f"{JOBS}/{job_id}", key=key)
        receive(service.port, [request])
        at_rest_mb = resident_mb(service.process_id)
        for _ in range(ROUNDS):
            forget_peak(service.process_id)
            with lag.probing(service.port) as probe:
                speed.append(receive(service.port, [request]))
            growth_mb.append(peak_mb(service.process_id) - at_rest_mb)
            lags_ms.append(probe.worst_ms)
        for _ in range(2):
            forget_peak(service.process_id)
            with lag.probing(service.port) as probe:
                receive(service.port, [request] * AT_ONCE)
            crowd_growth_mb.append(peak_mb(service.process_id) - at_rest_mb)
            crowd_lags_ms.append(probe.worst_ms)
    return Report(
        "Videos inside answers",
        f"GET of a job with one video of {SIZE_BYTES / 1e6:.0f} MB as b64_json, over loopback, in the page cache;"
        f" {ROUNDS} rounds of one, and two of several at once. Growth is the resident set's peak in a round over what"
        " it was after the first answer; the speed is that of the answer's bytes, a third more than the video's.",
        [
            Row("b64_json", "MB/s", speed),
            Row("memory growth", "MB", growth_mb, at_most=GROWTH_MB),
            Row("event loop's worst lag", "ms", lags_ms, at_most=LAG_MS),
            Row(f"memory growth, {AT_ONCE} at once", "MB", crowd_growth_mb),
            Row(f"event loop's worst lag, {AT_ONCE} at once", "ms", crowd_lags_ms),
        ],
    )


if __name__ == "__main__":
    show(measure)
