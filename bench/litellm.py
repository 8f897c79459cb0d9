"""The LiteLLM proxy beside us in the same run: create, status, start, memory.

Its create calls the upstream before it answers and stores nothing; ours answers once the job is on disk, and calls the
upstream afterwards. Both talk to the same fake server of the OpenAI Videos API. The proxy has an environment of its own
in `.bench/`, made on the first run from the package index that this machine uses.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from bench import lag, load, server
from bench.machine import computed_s, resident_mb
from bench.report import Report, Row, percentile_ms, ratio, show
from bench.stored import GENERATIONS, JOBS, working_folder

VERSION = "1.106.2"
ENVIRONMENT = server.PROJECT / ".bench" / f"litellm-{VERSION}"
KEY = "sk-of-the-bench-0123456789abcdef0123456789abcdef"
MODEL = "wan-2.2"
CONNECTIONS = 32
ROUNDS = 3
STARTS = 2
WARM_UP_S = 1.5
ROUND_S = 2.0
REST_S = 1.0
CREATE_TIMES = 20.0
STATUS_TIMES = 30.0
CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: "openai/{model}", api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
general_settings: {{master_key: "{key}"}}
litellm_settings: {{telemetry: false}}
"""
PROXY_BODY = json.dumps({"model": MODEL, "prompt": "a lighthouse"}).encode()
OUR_BODY = json.dumps({"model": f"gpu/{MODEL}", "prompt": "a lighthouse"}).encode()


def measure() -> Report:
    """The report; under a minute, and one more where the proxy must be installed first."""
    install()
    with working_folder() as folder:
        return _measure(folder)


def install() -> None:
    """Make the proxy's environment, once."""
    if (ENVIRONMENT / "installed").exists():
        return
    uv = server.PROJECT / ".tools" / "bin" / "uv"
    subprocess.run([uv, "venv", "-q", "--clear", "--python", "3.11", ENVIRONMENT], check=True, cwd=server.PROJECT)
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", ENVIRONMENT / "bin/python", f"litellm[proxy]=={VERSION}"],
        check=True,
        cwd=server.PROJECT,
    )
    (ENVIRONMENT / "installed").touch()


def proxy(folder: Path, upstream_port: int) -> server.Server:
    """The proxy with one worker, as its documentation starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(model=MODEL, port=upstream_port, key=KEY))
    command: list[str | Path] = [
        ENVIRONMENT / "bin/litellm", "--config", config, "--host", "127.0.0.1", "--num_workers", "1"
    ]  # fmt: skip
    # Prices come with the package instead of from the network, and its log says errors alone.
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return server.Server(command, folder, settings, "/health/liveliness")


def _measure(folder: Path) -> Report:
    rates: dict[str, list[float]] = {"our create": [], "its create": [], "our status": [], "its status": []}
    p99s_ms: dict[str, list[float]] = {name: [] for name in rates}
    costs_us: dict[str, list[float]] = {name: [] for name in rates}
    lags_ms: dict[str, list[float]] = {name: [] for name in rates}
    starts_s: dict[str, list[float]] = {"ours": [], "its": []}
    idle_mb: dict[str, list[float]] = {"ours": [], "its": []}
    with server.openai_shape(folder / "upstream") as upstream:
        settings = server.at_openai_shape(upstream, MODEL)
        for _ in range(STARTS):
            for whose, starting in (
                ("ours", server.rushes(folder / "ours", **settings)),
                ("its", proxy(folder / "its", upstream.port)),
            ):
                with starting as one:
                    starts_s[whose].append(one.start_s)
                    time.sleep(REST_S)  # noqa: TID251 - nothing else runs in this process
                    idle_mb[whose].append(resident_mb(one.process_id))
        # Held, so that the worker's own calls upstream do not take part; the proxy has no work besides its answers.
        held = {**settings, "RUSHES_HOLD_S": "3600"}
        with server.rushes(folder / "ours", **held) as ours, proxy(folder / "its", upstream.port) as its:
            key = server.live_key(folder / "ours")
            our_create = load.request("POST", GENERATIONS, key=key, body=OUR_BODY)
            its_create = load.request("POST", "/v1/videos", key=KEY, body=PROXY_BODY)
            job_id = json.loads(load.call(ours.port, our_create).body)["job_id"]
            video_id = json.loads(load.call(its.port, its_create).body)["id"]
            sides = {
                "our create": (ours, our_create),
                "its create": (its, its_create),
                "our status": (ours, load.request("GET", f"{JOBS}/{job_id}", key=key)),
                "its status": (its, load.request("GET", f"/v1/videos/{video_id}", key=KEY)),
            }
            for side, message in sides.values():
                load.run(side.port, [message], connections=CONNECTIONS, seconds=WARM_UP_S)
            for _ in range(ROUNDS):
                for name, (side, message) in sides.items():
                    with lag.probing(side.port) as probe:
                        before_s = computed_s(side.process_id)
                        one_round = load.run(side.port, [message], connections=CONNECTIONS, seconds=ROUND_S)
                    rates[name].append(one_round.per_second)
                    p99s_ms[name].append(percentile_ms(one_round.latencies_s, 99))
                    costs_us[name].append((computed_s(side.process_id) - before_s) * 1e6 / len(one_round.latencies_s))
                    lags_ms[name].append(probe.worst_ms)
    rows = {name: Row(name, "1/s", rounds) for name, rounds in rates.items()}
    starts = {whose: Row(f"{whose} start to first answer", "s", rounds) for whose, rounds in starts_s.items()}
    idle = {whose: Row(f"{whose} memory when idle", "MB", rounds) for whose, rounds in idle_mb.items()}
    return Report(
        "Beside the LiteLLM proxy",
        f"litellm[proxy] {VERSION} with one worker and no database; {CONNECTIONS} connections, {ROUNDS} rounds of"
        f" {ROUND_S:.0f} s each by turns, both servers on one core, the load and the fake upstream on the other. Its"
        " create and its status each call the upstream before they answer, and it keeps nothing; our create is on disk"
        " (SQLite, synchronous=FULL) when it is answered, and our status needs no upstream.",
        [
            *rows.values(),
            ratio("create, ours / its", rows["our create"], rows["its create"], at_least=CREATE_TIMES),
            ratio("status, ours / its", rows["our status"], rows["its status"], at_least=STATUS_TIMES),
            *(Row(f"{name}, p99", "ms", rounds) for name, rounds in p99s_ms.items()),
            *(Row(f"processor time of {name}", "µs", rounds) for name, rounds in costs_us.items()),
            *starts.values(),
            ratio("start, ours / its", starts["ours"], starts["its"]),
            *idle.values(),
            ratio("memory, ours / its", idle["ours"], idle["its"]),
            *(Row(f"event loop's worst lag, {name}", "ms", rounds) for name, rounds in lags_ms.items()),
        ],
    )


if __name__ == "__main__":
    show(measure)
