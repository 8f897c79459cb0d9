"""What the Dockerfile, compose.yaml and deploy/ name is there: commands, settings, ports, locks. Nothing is built."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from fastapi import APIRouter
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import rushes
from rushes.api.http.prefer import LONGEST_WAIT_S
from rushes.api.http.server_protocol import LARGEST_HEAD_BYTES, ServerProtocol
from rushes.api.native import health
from rushes.cli.commands import app
from rushes.cli.process import FRONT_LAME_DUCK_S
from rushes.media.inputs import MIB, MOST_UPLOAD_BYTES
from rushes.settings import NAMES_BESIDE_SETTINGS, Settings

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
"""`${NAME}`, `${NAME:-default}` or `${NAME:?complaint}`."""
GRACE_S = 5
"""How long answers under way may take to finish after the drain (docs/operating/lifecycle.md)."""


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each on one line."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(name, rest) for line in lines if line for name, _, rest in [line.partition(" ")]]


def only(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def arguments() -> dict[str, str]:
    return dict(rest.split("=", 1) for rest in only("ARG"))


def in_image() -> dict[str, Any]:
    """What the image says of itself: command, port, check of health."""
    check = re.search(r"CMD (\[.*\])$", only("HEALTHCHECK")[-1])
    assert check is not None
    return {
        "entrypoint": json.loads(only("ENTRYPOINT")[-1]),
        "command": json.loads(only("CMD")[-1]),
        "health": json.loads(check[1]),
        "port": int(only("EXPOSE")[-1].split()[0]),
    }


def compose() -> dict[str, Any]:
    """The services with nothing set but what must be."""
    text = VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "set", (ROOT / "compose.yaml").read_text())
    services = yaml.safe_load(text)["services"]
    assert isinstance(services, dict)
    return services


def variables_in(name: str) -> set[str]:
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / name).read_text(), re.MULTILINE))


OURS = sorted(name for name, service in compose().items() if service["image"] == "rushes")
COMMANDS = {"Dockerfile": in_image()["command"]} | {
    name: service["command"] for name, service in compose().items() if name in OURS and service["command"]
}


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of the command that these words call; raises what a person would be told of."""
    commands = typer.main.get_group(app).commands
    assert words[0] in commands
    return commands[words[0]].make_context(words[0], words[1:]).params


@pytest.mark.parametrize("where", COMMANDS)
def test_its_command_exists_with_these_options(where: str) -> None:
    assert parsed(COMMANDS[where]).get("port", in_image()["port"]) == in_image()["port"]


@pytest.mark.parametrize("where", [where for where in COMMANDS if "--port" in COMMANDS[where]])
def test_it_listens_where_other_containers_reach_it(where: str) -> None:
    assert parsed(COMMANDS[where])["host"] == "0.0.0.0"


def test_health_is_asked_at_an_address_that_exists() -> None:
    address = re.search(r"urlopen\('([^']+)'", in_image()["health"][-1])
    assert address is not None
    asked = urlsplit(address[1])
    assert asked.port == in_image()["port"]
    routers = [part for part in vars(health).values() if isinstance(part, APIRouter)]
    assert asked.path in {getattr(route, "path", None) for router in routers for route in router.routes}


def test_the_process_gets_the_signals_itself() -> None:
    assert in_image()["entrypoint"] == ["rushes"]
    assert "rushes" in PROJECT["scripts"]
    assert only("STOPSIGNAL") == ["SIGTERM"]


def test_python_is_one_that_the_project_allows() -> None:
    version = arguments()["PYTHON_VERSION"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert {image.split(" ")[0] for image in only("FROM")} == {"python:${PYTHON_VERSION}-slim"}


def test_the_image_and_the_chart_are_labelled_with_our_version() -> None:
    assert PROJECT["dynamic"] == ["version"]
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "rushes" / "Chart.yaml").read_text())
    assert arguments()["VERSION"] == rushes.__version__ == chart["version"] == chart["appVersion"]


def test_it_does_not_run_as_root() -> None:
    user, _, group = only("USER")[-1].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert f"useradd --uid {user}" in " ".join(only("RUN"))


def test_everything_is_installed_by_its_hash_or_is_our_own_wheel() -> None:
    installs = [
        step for run in only("RUN") for step in run.split("&&") if re.search(r"\bpip\b.* (install|wheel) ", step)
    ]
    assert len(installs) == 4
    for step in installs:
        lock = re.search(r"-r (\S+)", step)
        if lock is None:
            assert "--no-deps" in step, step
            continue
        assert "--require-hashes" in step, step
        entries = re.split(r"\n(?=\S)", (ROOT / lock[1]).read_text().replace("\\\n", ""))
        assert [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []


def test_the_lock_has_what_the_project_asks_for() -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for wanted in map(Requirement, PROJECT["dependencies"]):
        assert wanted.specifier.contains(locked[wanted.name]), wanted


def test_the_builder_is_sent_what_it_copies_and_no_data() -> None:
    excluded, *allowed = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    assert excluded == "*"
    copied = {source for rest in only("COPY") if "--from" not in rest for source in rest.split()[:-1]}
    assert copied == {name[1:] for name in allowed if name.startswith("!")}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    for secret in ("rushes.toml", ".env", "rushes-data"):
        assert not any(fnmatch.fnmatch(secret, name[1:]) for name in allowed)


def test_every_variable_is_a_setting() -> None:
    named = {word for text in only("ENV") for word in re.findall(r"RUSHES_\w+", text)}
    named |= {name for service in OURS for name in compose()[service]["environment"]}
    named |= {name for name in variables_in("compose.env.example") if name.startswith("RUSHES_")}
    known = {f"RUSHES_{name.upper()}" for name in {*Settings.model_fields, *NAMES_BESIDE_SETTINGS}}
    assert named - known == set()


def test_what_must_be_set_is_in_the_example() -> None:
    text = (ROOT / "compose.yaml").read_text()
    must = {name for name, kind, _ in VARIABLE.findall(text) if kind == "?"}
    assert must <= variables_in("compose.env.example")
    assert {"POSTGRES_PASSWORD", "RUSHES_SECRET_KEYS", "RUSHES_PUBLIC_URL"} <= must


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = compose()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "user" not in service
    assert "no-new-privileges:true" in service["security_opt"]


def test_a_container_is_killed_only_after_it_had_time_to_stop() -> None:
    for name in ("api", "worker"):
        assert (
            int(compose()[name]["stop_grace_period"].removesuffix("s"))
            >= Settings.model_fields["drain_s"].default + GRACE_S
        )


def test_what_a_service_waits_for_can_come_true() -> None:
    services = compose()
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_completed_successfully":
                assert services[name]["restart"] == "no"
                assert name in OURS
            else:
                assert wait["condition"] == "service_healthy"
                assert name in OURS or "test" in services[name]["healthcheck"]
            assert "profiles" not in services[name] or wait.get("required") is False or "profiles" in service


def test_only_one_process_brings_the_schema_up_to_date() -> None:
    services = compose()
    assert services["migrate"]["command"] == ["migrate"]
    for name in ("api", "worker"):
        assert services[name]["environment"]["RUSHES_MIGRATE_ON_START"] == "false"
        assert "migrate" in services[name]["depends_on"]


def test_the_database_that_is_asked_for_is_the_one_that_is_made() -> None:
    made = compose()["postgres"]["environment"]
    asked = urlsplit(compose()["api"]["environment"]["RUSHES_DATABASE_URL"])
    assert asked.hostname == "postgres"
    assert (asked.username, asked.password, asked.path) == (
        made["POSTGRES_USER"],
        made["POSTGRES_PASSWORD"],
        f"/{made['POSTGRES_DB']}",
    )


def test_the_proxy_leads_to_the_processes_that_answer() -> None:
    upstream = re.search(
        r"dynamic a \{\$UPSTREAM:(\w+)\} \{\$UPSTREAM_PORT:(\d+)\}", (ROOT / "deploy/Caddyfile").read_text()
    )
    assert upstream is not None
    assert compose()[upstream[1]]["command"][0] == "serve"
    assert int(upstream[2]) == in_image()["port"]


def test_every_file_and_volume_that_is_mounted_exists() -> None:
    volumes = yaml.safe_load((ROOT / "compose.yaml").read_text())["volumes"]
    for service in compose().values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith("./") else source in volumes, mount


@pytest.mark.parametrize("name", ["rushes.service", "two-fronts/rushes-front@.service"])
def test_the_unit_starts_a_command_that_exists_and_leaves_it_time_to_stop(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read_string((ROOT / "deploy" / name).read_text())
    program, *words = unit["Service"]["ExecStart"].replace("%i", "8080").split()
    assert program == "/opt/rushes/bin/rushes"
    assert parsed(words)["port"] == in_image()["port"]
    longest_s = FRONT_LAME_DUCK_S + Settings.model_fields["drain_s"].default + GRACE_S
    assert int(unit["Service"]["TimeoutStopSec"]) >= longest_s
    assert unit["Service"]["Type"] == "notify"


def test_nginx_takes_whole_uploads_and_waits_for_answers() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    size = re.search(r"client_max_body_size (\d+)m;", text)
    wait = re.search(r"proxy_read_timeout (\d+)s;", text)
    assert size is not None
    assert wait is not None
    assert int(size[1]) * MIB > MOST_UPLOAD_BYTES
    assert int(wait[1]) > LONGEST_WAIT_S
    assert f"127.0.0.1:{in_image()['port']} " in text


def test_the_proxies_bound_heads_and_slow_bodies_as_the_service_does() -> None:
    nginx, caddy = (ROOT / "deploy/nginx.conf").read_text(), (ROOT / "deploy/Caddyfile").read_text()
    buffers = re.search(r"large_client_header_buffers (\d+) (\d+)k;", nginx)
    caddys = re.search(r"max_header_size (\d+)KiB", caddy)
    assert buffers is not None
    assert caddys is not None
    assert int(buffers[1]) * int(buffers[2]) * 1024 == int(caddys[1]) * 1024 == LARGEST_HEAD_BYTES
    assert f"client_header_timeout {ServerProtocol.head_s:.0f}s;" in nginx
    assert f"read_header {ServerProtocol.head_s:.0f}s" in caddy
    assert f"client_body_timeout {ServerProtocol.body_s:.0f}s;" in nginx


def test_metrics_have_a_port_of_their_own_in_the_image() -> None:
    variables = dict(re.findall(r"(RUSHES_METRICS_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    assert variables["RUSHES_METRICS_HOST"] == "0.0.0.0"
    assert variables["RUSHES_METRICS_PORT"] in only("EXPOSE")[-1].split()
    for service in ("front", "worker"):
        chart = (ROOT / "deploy/helm/rushes/templates" / f"{service}.yaml").read_text()
        assert f"{{name: metrics, containerPort: {variables['RUSHES_METRICS_PORT']}}}" in chart


def test_every_container_is_limited_and_pinned() -> None:
    for name, service in compose().items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        tag = service["image"].partition(":")[2]
        assert service["image"] == "rushes" or re.search(r"\d+\.\d+", tag), name


def test_only_the_proxy_and_what_calls_providers_reach_the_outside() -> None:
    outside = {name for name, service in compose().items() if "outside" in service["networks"]}
    assert outside == {"proxy", "api", "worker"}
    published = {name for name, service in compose().items() if "ports" in service}
    assert published == {"proxy"}
    shared = set(compose()["proxy"]["networks"]) & set(compose()["postgres"]["networks"])
    assert shared == set()


def test_secrets_of_a_deployment_are_not_committed() -> None:
    assert {".env", ".env.*"} <= set((ROOT / ".gitignore").read_text().split())
