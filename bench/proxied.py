"""Videos of 50 MB that lie in a bucket, by signed links that lead through us."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench import lag, load, server
from bench.machine import LOAD_CORE, forget_peak, peak_mb, resident_mb
from bench.receive import receive
from bench.report import Report, Row, show
from bench.stored import enlarge_video, finish_a_job, read_job, working_folder

SIZE_BYTES = 50_000_000
ROUNDS = 3
AT_ONCE = 20
PART_BYTES = 20_000_000
GROWTH_MB = 16.0


@dataclass
class Rounds:
    """What each round took."""

    mb_s: list[float] = field(default_factory=list)
    growth_mb: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)


def measure() -> Report:
    """The report; about ten seconds."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    key, job_id = finish_a_job(folder)
    enlarge_video(folder, job_id, SIZE_BYTES)
    one, crowd = Rounds(), Rounds()
    with _bucket(folder / "bucket") as bucket, server.rushes(folder, **_in(bucket), **server.NO_RENDERING) as service:
        result = read_job(service.port, key, job_id)["result"]
        assert isinstance(result, dict)
        link = urlsplit(str(result["url"]))
        target = f"{link.path}?{link.query}"
        whole = load.request("GET", target)
        parts = [
            whole.replace(b"\r\n", f"\r\nRange: bytes={start}-{start + PART_BYTES - 1}\r\n".encode(), 1)
            for start in range(0, AT_ONCE * 1000, 1000)
        ]
        receive(service.port, [whole])
        at_rest_mb = resident_mb(service.process_id)
        for requests, rounds in (([whole], one), (parts, crowd)):
            for _ in range(ROUNDS):
                forget_peak(service.process_id)
                with lag.probing(service.port) as probe:
                    rounds.mb_s.append(receive(service.port, requests))
                rounds.growth_mb.append(peak_mb(service.process_id) - at_rest_mb)
                rounds.lag_ms.append(probe.worst_ms)
    return Report(
        "Serve a file from a bucket",
        f"{SIZE_BYTES / 1e6:.0f} MB over loopback by a signed link that leads through the service, from a server that"
        f" knows S3's words and sends from the page cache; {ROUNDS} rounds of one, then of {AT_ONCE} clients at once"
        f" that each want {PART_BYTES / 1e6:.0f} MB of it by Range and take turns. Growth is the resident set's peak in"
        " a round over what it was after the first download.",
        [
            Row("through us", "MB/s", one.mb_s),
            Row("memory growth", "MB", one.growth_mb, at_most=GROWTH_MB),
            Row("event loop's worst lag", "ms", one.lag_ms),
            Row(f"through us, {AT_ONCE} ranges at once", "MB/s", crowd.mb_s),
            Row(f"memory growth, {AT_ONCE} ranges at once", "MB", crowd.growth_mb),
            Row(f"event loop's worst lag, {AT_ONCE} ranges at once", "ms", crowd.lag_ms),
        ],
    )


def _bucket(folder: Path) -> server.Server:
    command: list[str | Path] = [sys.executable, "-m", "bench.sink", "--bytes", str(SIZE_BYTES)]
    return server.Server(command, folder, {}, "/", core=LOAD_CORE)


def _in(bucket: server.Server) -> dict[str, str]:
    return {
        "RUSHES_STORAGE_URL": "s3://bucket/videos",
        "RUSHES_STORAGE_ENDPOINT_URL": f"http://127.0.0.1:{bucket.port}",
        "RUSHES_STORAGE_ACCESS_KEY_ID": "no-real-key",
        "RUSHES_STORAGE_SECRET_ACCESS_KEY": "no-real-secret",
    }


if __name__ == "__main__":
    show(measure)
