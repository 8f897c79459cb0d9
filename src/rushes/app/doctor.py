"""Examines an installation part by part: what works, what does not, and what to do. It shows no secret."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp

from rushes import secret_keys
from rushes.app.databases import has_database, opened_for_command, schema_found
from rushes.app.doctor_providers import provider_findings
from rushes.app.findings import Finding, State
from rushes.app.providers import configured_providers
from rushes.app.storage import opened_storage
from rushes.catalogue.lifecycle import endings
from rushes.clock import SystemClock
from rushes.data_directory import DataDirectory
from rushes.errors import RushesError, StartupError
from rushes.ids import new_id
from rushes.media.links import LinkSigner
from rushes.money.usage import UsageStore
from rushes.settings import Settings

LEAST_FREE_BYTES = 10 * 2**30
LEAST_OPEN_FILES = 8192
MOST_CLOCK_DIFFERENCE_S = 5.0
STEP_S = 20.0
ENDS_WITHIN_DAYS = 60
USED_DAYS = 30
PROBE_BYTES = 64 * 1024
PROBE_JOB = "job_doctor"


Check = Callable[[Settings], Awaitable[list[Finding]]]


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which an operator would look."""
    findings: list[Finding] = []
    for part, check in CHECKS.items():
        try:
            async with asyncio.timeout(STEP_S):
                findings += await check(settings)
        except TimeoutError:
            findings.append(Finding(part, State.FAILED, f"no answer within {STEP_S:.0f} s", "look at its network"))
        except RushesError as error:
            findings.append(Finding(part, State.FAILED, error.message, "correct this first"))
    return findings


async def _secret_keys(settings: Settings) -> list[Finding]:
    part = "secret keys"
    if settings.secret_keys is not None:
        secret_keys.parse(settings.secret_keys.get_secret_value())
        return [Finding(part, State.OK, f"{secret_keys.SETTING} is set and well formed")]
    if settings.database_url is not None:
        advice = "set the same keys for every process: `openssl rand -hex 32` makes one"
        return [Finding(part, State.FAILED, f"{secret_keys.SETTING} is not set; on Postgres it must be", advice)]
    path = DataDirectory(settings.data_dir).secret_key
    if not path.exists():
        return [Finding(part, State.SKIPPED, "there is no key yet; the first start makes one")]
    secret_keys.load_or_create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return [Finding(part, State.FAILED, f"'{path}' has the mode {mode:04o}", f"chmod 600 '{path}'")]
    return [Finding(part, State.OK, "the key file of the data directory is readable by its owner alone")]


async def _database(settings: Settings) -> list[Finding]:
    part = "database"
    directory = DataDirectory(settings.data_dir)
    kind = "SQLite" if settings.database_url is None else "Postgres"
    if not has_database(settings, directory):
        return [Finding(part, State.SKIPPED, f"'{settings.data_dir}' has no database yet; the first start makes it")]
    schema = await schema_found(settings, directory)
    if schema.version is None:
        return [Finding(part, State.SKIPPED, f"{kind} answers and is empty; the first start fills it")]
    if schema.due:
        message = f"{kind} answers; its schema {schema.version} lacks {len(schema.due)} steps"
        return [Finding(part, State.WARNING, message, "run `rushes migrate`, or start with RUSHES_MIGRATE_ON_START")]
    async with opened_for_command(settings, directory, SystemClock()) as database:
        before_s = time.time()
        (row,) = await database.read("SELECT :now AS now")
        after_s = time.time()
    found = [Finding(part, State.OK, f"{kind} answers; its schema is {schema.version}, and nothing is due")]
    difference_s = max(before_s - row["now"] / 1000, row["now"] / 1000 - after_s, 0.0)
    if settings.database_url is None:
        return found
    if difference_s > MOST_CLOCK_DIFFERENCE_S:
        advice = "let both hosts follow one time server; links and deadlines depend on it"
        found.append(
            Finding("clock", State.FAILED, f"this host is {difference_s:.0f} s apart from the database's", advice)
        )
    else:
        found.append(Finding("clock", State.OK, f"within {difference_s:.1f} s of the database's"))
    return found


async def _storage(settings: Settings) -> list[Finding]:
    part = "storage"
    directory = DataDirectory(settings.data_dir)
    where = settings.storage_url or str(directory.storage)
    if settings.storage_url is None and not directory.storage.exists():
        return [Finding(part, State.SKIPPED, f"'{where}' is not there yet; the first start makes it")]
    content = secrets.token_bytes(PROBE_BYTES)
    key = f"doctor/{new_id('probe')}"

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    async with opened_storage(settings, directory.storage, directory.scratch, SystemClock()) as storage:
        started_s = time.monotonic()
        await storage.put(key, chunks(), max_bytes=PROBE_BYTES)
        try:
            read = b"".join([chunk async for chunk in storage.open(key)])
        finally:
            await storage.delete(key)
        taken_ms = 1000 * (time.monotonic() - started_s)
    if read != content:
        advice = "do not run a service on it: it would lose videos"
        return [Finding(part, State.FAILED, f"'{where}' gave back other bytes than it was given", advice)]
    return [Finding(part, State.OK, f"'{where}' kept, returned and deleted a file in {taken_ms:.0f} ms")]


async def _disk(settings: Settings) -> list[Finding]:
    root = DataDirectory(settings.data_dir).root
    folder = next(path for path in (root, *root.absolute().parents) if path.exists())
    if not os.access(folder, os.W_OK):
        return [Finding("disk", State.FAILED, f"'{folder}' cannot be written", "give it to the service's user")]
    free_bytes = shutil.disk_usage(folder).free
    message = f"{free_bytes / 2**30:.1f} GiB are free at '{folder}'"
    if free_bytes < LEAST_FREE_BYTES:
        return [Finding("disk", State.WARNING, message, "make room, or set RUSHES_RETENTION_S")]
    return [Finding("disk", State.OK, message)]


async def _open_files(settings: Settings) -> list[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    if hard != resource.RLIM_INFINITY and hard < LEAST_OPEN_FILES:
        advice = f"raise it to {LEAST_OPEN_FILES:,} (LimitNOFILE= in systemd, ulimits in compose)"
        return [Finding("open files", State.WARNING, f"a process may open {shown}", advice)]
    return [Finding("open files", State.OK, f"a process may open {shown}")]


async def _public_url(settings: Settings) -> list[Finding]:
    part = "public URL"
    if settings.public_url is None:
        advice = "set RUSHES_PUBLIC_URL to the address that clients use"
        return [Finding(part, State.WARNING, "not set: links carry each request's Host header", advice)]
    base = settings.public_url.rstrip("/")
    advice = "let the proxy pass every path, query and header on as they are (docs/operating/)"
    async with _session() as session:
        try:
            async with session.get(f"{base}/") as answer:
                request_id = answer.headers.get("X-Request-Id")
                content = await answer.json(content_type=None) if answer.status == 200 else None
        except (aiohttp.ClientError, ValueError) as error:
            return [
                Finding(part, State.FAILED, f"'{base}' cannot be asked: {_reason(error)}", "start the service there")
            ]
        if not isinstance(content, dict) or content.get("name") != "rushes":
            return [Finding(part, State.FAILED, f"'{base}/' is answered by something else than rushes", advice)]
        found = [Finding(part, State.OK, f"'{base}' is answered by rushes {content.get('version')}")]
        if request_id is None:
            found.append(Finding("proxy", State.FAILED, "the proxy drops the header X-Request-Id of answers", advice))
        return [*found, *await _proxied_paths(settings, session, base, advice)]


async def _proxied_paths(settings: Settings, session: aiohttp.ClientSession, base: str, advice: str) -> list[Finding]:
    """Whether a signed link comes through whole, and whether a key would."""
    path = f"/media/{PROBE_JOB}/0.mp4"
    keys = _keys(settings)
    found = []
    if keys is not None:
        query = LinkSigner(keys.derive("links")).sign(path, int(time.time()) + 60)
        async with session.get(f"{base}{path}?{query}", allow_redirects=False) as answer:
            status = answer.status
        if status == 404:
            found.append(Finding("links", State.OK, "a signed link passes the proxy, and the service knows its key"))
        elif status == 403:
            message = "the service refuses a link that was signed with this machine's secret keys"
            found.append(Finding("links", State.FAILED, message, f"{advice}; give all processes the same secret keys"))
        else:
            found.append(Finding("links", State.FAILED, f"a signed link is answered with {status}", advice))
    headers = {"Authorization": "Bearer rushes_test_doctor"}
    async with session.get(f"{base}/api/v1/user/me", headers=headers, allow_redirects=False) as answer:
        refused = answer.status == 401 and answer.headers.get("Content-Type") == "application/problem+json"
    if refused:
        found.append(Finding("proxy", State.OK, "keys reach the service, and its errors reach clients unchanged"))
    else:
        message = f"an unknown key is answered with {answer.status}, not with the service's own 401"
        found.append(Finding("proxy", State.FAILED, message, advice))
    return found


async def _models(settings: Settings) -> list[Finding]:
    directory = DataDirectory(settings.data_dir)
    if not has_database(settings, directory):
        return []
    catalogue, now = configured_providers(settings, SystemClock()).catalogue, datetime.now(UTC)
    since_ms = int(now.timestamp() - USED_DAYS * 86_400) * 1000
    async with opened_for_command(settings, directory, SystemClock()) as database:
        used = {
            (item.provider, item.model): item.usage.jobs
            for item in await UsageStore(database).read_all(since_ms=since_ms)
        }
    ending = [
        (end.model, used[(end.model.provider, end.model.id)])
        for end in endings(catalogue, now.date(), within_days=ENDS_WITHIN_DAYS)
        if used.get((end.model.provider, end.model.id))
    ]
    advice = "`rushes models check` names the successors"
    return [
        Finding(
            "models",
            State.WARNING,
            f"'{model.provider}/{model.id}' ends on {model.retired}; {jobs} jobs asked for it in {USED_DAYS} days",
            advice,
        )
        for model, jobs in ending
    ] or [Finding("models", State.OK, f"no model in use ends within {ENDS_WITHIN_DAYS} days")]


CHECKS: dict[str, Check] = {
    "secret keys": _secret_keys,
    "database": _database,
    "storage": _storage,
    "disk": _disk,
    "open files": _open_files,
    "public URL": _public_url,
    "providers": provider_findings,
    "models": _models,
}


def _keys(settings: Settings) -> secret_keys.SecretKeys | None:
    if settings.secret_keys is not None:
        return secret_keys.parse(settings.secret_keys.get_secret_value())
    path = DataDirectory(settings.data_dir).secret_key
    try:
        return secret_keys.load_or_create(path) if path.exists() else None
    except StartupError:
        return None


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
