"""Files of 50 MB from a provider's HTTP server into our keeping: a directory, and a bucket of S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench import server
from bench.keeping import Rounds
from bench.machine import LOAD_CORE, SERVER_CORE
from bench.report import Report, Row, ratio, show
from bench.stored import working_folder

SIZE_BYTES = 50_000_000
ROUNDS = 7
AT_ONCE = 20
ROUNDS_AT_ONCE = 3
LONGEST_S = 120.0
GROWTH_MB = 16.0
LAG_MS = 20.0

BOTH = (
    f"{SIZE_BYTES / 1e6:.0f} MB over loopback, sent from the page cache by a process on the other core, which also is"
    f" the bucket and throws away what it gets; {ROUNDS} rounds by turns of ours and of a plain reader, both on one"
    " core."
)
SAME = (
    "Growth is the resident set's peak over what it was after the first two files; the lag is a timer's in the process."
)


def directory() -> Report:
    """Against a plain reader that hashes and saves; some seconds."""
    rounds = _rounds()
    return _report(
        "Keep a file in a directory",
        f"{BOTH} The plain one is a thread with a socket that hashes (SHA-256), writes to a file and syncs it at the"
        f" end. Ours is the adapters' download and the storage's put, which makes the name durable as well. {SAME}",
        rounds,
    )


def bucket() -> Report:
    """Against a plain reader that hashes and puts; some seconds."""
    rounds = _rounds("--bucket")
    return _report(
        "Keep a file in a bucket",
        f"{BOTH} The plain one is a thread with sockets that hashes parts of 8 MiB and the whole (SHA-256 of both, as"
        f" S3 and we demand) and puts the parts from memory. Ours is boto3, and parts wait in nameless files. {SAME}",
        rounds,
    )


def _rounds(*options: str) -> Rounds:
    with working_folder() as folder, _other_end(folder) as other_end:
        command = [sys.executable, "-m", "bench.keeping", "--port", str(other_end.port), "--bytes", str(SIZE_BYTES)]
        counts = ["--rounds", str(ROUNDS), "--at-once", str(AT_ONCE), "--rounds-at-once", str(ROUNDS_AT_ONCE)]
        said = subprocess.run(
            [*command, *counts, *options],
            cwd=server.PROJECT,
            env={"PATH": os.defpath, "HOME": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=LONGEST_S,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        return Rounds(**json.loads(said.stdout))


def _other_end(folder: Path) -> server.Server:
    command: list[str | Path] = [sys.executable, "-m", "bench.sink", "--bytes", str(SIZE_BYTES)]
    return server.Server(command, folder, {}, "/", core=LOAD_CORE)


def _report(question: str, setting: str, rounds: Rounds) -> Report:
    kept = Row("kept", "MB/s", rounds.kept_mb_s)
    plain = Row("the plain reader", "MB/s", rounds.plain_mb_s)
    return Report(
        question,
        setting,
        [
            kept,
            plain,
            ratio("kept / plain", kept, plain, at_least=0.7),
            Row("the plain reader, throwing away", "MB/s", rounds.read_mb_s),
            Row("memory growth", "MB", rounds.growth_mb, at_most=GROWTH_MB),
            Row("event loop's worst lag", "ms", rounds.lag_ms, at_most=LAG_MS),
            Row(f"kept, {AT_ONCE} at once", "MB/s", rounds.at_once_mb_s),
            Row(f"memory growth, {AT_ONCE} at once", "MB", rounds.at_once_growth_mb),
            Row(f"event loop's worst lag, {AT_ONCE} at once", "ms", rounds.at_once_lag_ms),
        ],
    )


if __name__ == "__main__":
    show(directory)
    show(bucket)
