"""`rushes demo`: a first video on a fresh machine, through the real service and its real API."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from rushes.cli.options import DataDir
from rushes.errors import RushesError

if TYPE_CHECKING:
    import aiohttp

REQUEST = {
    "prompt": "A golden retriever playing in autumn leaves",
    "model": "google/veo-3.0-generate-001",
    "aspect_ratio": "16:9",
}
FILE_NAME = "golden-retriever"
HOST = "127.0.0.1"
USUAL_PORT = 8080
ANY_PORT = 0
USUAL_DATA_DIR = Path("rushes-data")
KEY_LIFETIME_S = 30 * 86_400
LINK_LIFETIME_S = 86_400
START_S = 30
STOP_S = 15
JOB_S = 180
POLL_S = 0.2
LOG_LINES = 15
"""How many lines of the service's log are shown when the service has failed."""

Show = Callable[[str, int], None]
"""Shows a job's status and progress."""


class DemoFailed(RushesError):
    """The demo failed; the message says at which step."""

    code = "demo_failed"


def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the service; else 8080, or a free one.")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where the MP4 is saved.")] = Path("demo"),
    data_dir: DataDir = None,
) -> None:
    """Make a first video: start the service, create a test key, post a prompt, save the MP4, stop the service."""
    from rushes.settings import load_settings

    directory = load_settings(data_dir=data_dir).data_dir
    number = _free_port(USUAL_PORT, ANY_PORT) if port is None else _free_port(port)
    try:
        asyncio.run(_play(number, folder, directory))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


async def _play(port: int, folder: Path, directory: Path) -> None:
    import aiohttp

    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C does: the service is stopped before this command ends.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    url = f"http://{HOST}:{port}"
    try:
        async with (
            asyncio.timeout(START_S + JOB_S),
            aiohttp.ClientSession() as session,
            _service(session, url, port, directory),
        ):
            key_id, key = await _make_test_key(directory)
            session.headers["Authorization"] = f"Bearer {key}"
            print(f"Posting the prompt: {REQUEST['prompt']}")
            with _progress() as show:
                video = await _make_video(session, url, show)
            path = await _download(session, video, folder)
    except aiohttp.ClientError as exc:
        raise DemoFailed(f"the service at {url} did not answer: {exc}") from exc
    except TimeoutError as exc:
        raise DemoFailed(f"the video was not done within {START_S + JOB_S} s; is the machine very busy?") from exc
    print()
    print(f"  {path}")
    print(
        f"  {video['file_size']:,} bytes, {video['duration']:g} s, {video['width']}x{video['height']}: drawn by the"
        " embedded animatic, because the key is a test key"
    )
    print()
    link = await _console_link(port, directory, key_id)
    print(_by_hand(port, directory, key, link))


@asynccontextmanager
async def _service(session: aiohttp.ClientSession, url: str, port: int, directory: Path) -> AsyncIterator[None]:
    """`rushes serve` in a process of its own, from its first answer on; stopped at the end."""
    arguments = ["serve", "--host", HOST, "--port", str(port), "--data-dir", str(directory)]
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rushes", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            await _wait_for_health(session, url, process, log)
            print(f"The service runs at {url}, its data is in {directory}")
            yield
            if process.returncode is not None:
                raise DemoFailed(f"the service has stopped unexpectedly:\n{_tail(log)}")
        finally:
            await _stop(process)


async def _wait_for_health(
    session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, log: IO[bytes]
) -> None:
    import aiohttp

    try:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                try:
                    async with session.get(f"{url}/healthz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    await asyncio.sleep(POLL_S)
    except TimeoutError as exc:
        raise DemoFailed(f"the service did not answer within {START_S} s:\n{_tail(log)}") from exc
    raise DemoFailed(f"the service did not start:\n{_tail(log)}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _console_link(port: int, directory: Path, key_id: str) -> str:
    from rushes.cli.console import sign_in_link

    return await sign_in_link(
        directory, key_id, account="", test=True, base_url=f"http://{HOST}:{port}", lifetime_s=LINK_LIFETIME_S
    )


async def _make_test_key(directory: Path) -> tuple[str, str]:
    from rushes.accounts.keys import Mode
    from rushes.app.administration import opened_keys
    from rushes.settings import load_settings

    async with opened_keys(load_settings(data_dir=directory)) as keys:
        record, key = await keys.create_key(account="default", name="demo", mode=Mode.TEST, lifetime_s=KEY_LIFETIME_S)
    return record.id, key


async def _make_video(session: aiohttp.ClientSession, url: str, show: Show) -> dict[str, Any]:
    """Post the request and wait for its job; the finished video as the API describes it."""
    async with session.post(f"{url}/api/v1/videos/generations", json=REQUEST) as answer:
        job = (await _content(answer))["data"]
    while True:
        async with session.get(f"{url}/api/v1/videos/jobs/{job['job_id']}") as answer:
            job = await _content(answer)
        show(job["status"], job["progress"])
        if job["status"] == "completed":
            video: dict[str, Any] = job["result"]
            return video
        if job["status"] == "failed":
            raise DemoFailed(f"job '{job['job_id']}' has failed ({job['error_code']}): {job['error']}")
        await asyncio.sleep(POLL_S)


async def _content(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    content: dict[str, Any] = await answer.json(content_type=None)
    if answer.status != 200:
        raise DemoFailed(f"{answer.method} {answer.url.path} answered {answer.status}: {content.get('detail')}")
    return content


async def _download(session: aiohttp.ClientSession, video: dict[str, Any], folder: Path) -> Path:
    """Save the video under a new name."""
    async with session.get(video["url"]) as answer:
        content = await answer.read()
    if hashlib.sha256(content).hexdigest() != video["sha256"]:
        raise DemoFailed(f"the link answered {answer.status} and not the video whose sha256 the job names")
    return await asyncio.to_thread(_save, content, folder)


def _save(content: bytes, folder: Path) -> Path:
    path = _free_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as exc:
        raise DemoFailed(f"'{path}' cannot be written: {exc.strerror}; choose another folder with --out") from exc
    return path


@contextmanager
def _progress() -> Iterator[Show]:
    """A bar on a terminal; elsewhere a line for each change of status."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console()
    if not console.is_terminal:
        seen: list[str] = []

        def print_change(status: str, percent: int) -> None:
            if status not in seen:
                seen.append(status)
                print(f"  {status} ({percent} %)")

        yield print_change
        return
    columns = (
        TextColumn("  {task.description:<11}"),
        BarColumn(bar_width=40),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("pending", total=100)
        yield lambda status, percent: bar.update(task, description=status, completed=percent)


def _free_port(*ports: int) -> int:
    """The first free one of these ports."""
    for port in ports:
        try:
            with socket.create_server((HOST, port)) as listener:
                number: int = listener.getsockname()[1]
                return number
        except OSError:
            continue
    raise DemoFailed(f"port {ports[-1]} of {HOST} is in use; choose another with --port, or omit --port for a free one")


def _free_path(folder: Path) -> Path:
    path = folder / f"{FILE_NAME}.mp4"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{FILE_NAME}-{number}.mp4"
    return path


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").rstrip().splitlines()[-LOG_LINES:])


def _by_hand(port: int, directory: Path, key: str, link: str) -> str:
    """The commands that do the same by hand."""
    usual = port == USUAL_PORT and directory == USUAL_DATA_DIR and Path("Makefile").exists()
    rushes = Path(sys.executable).with_name("rushes")
    if rushes.is_relative_to(Path.cwd()):
        rushes = rushes.relative_to(Path.cwd())
    serve = shlex.join([str(rushes), "serve", "--port", str(port), "--data-dir", str(directory)])
    base = f"http://{HOST}:{port}/api/v1/videos"
    options = ", ".join(f'"{name}": "{value}"' for name, value in REQUEST.items())
    return f"""\
The same by hand. Start the service in another terminal (Ctrl-C stops it):

  {"make run" if usual else serve}

and here:

  export KEY={key}

  JOB=$(curl -s {base}/generations \\
    -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
    -d '{{{options}}}' \\
    | grep -oE 'job_[a-z0-9]{{24}}' | head -n 1)

  curl -s {base}/jobs/$JOB -H "Authorization: Bearer $KEY"

and when that says "completed":

  curl -s -o video.mp4 "$(curl -s {base}/jobs/$JOB -H "Authorization: Bearer $KEY" \\
    | grep -o 'http[^"]*/media/[^"]*' | head -n 1)"

The key works for 30 days and costs nothing; `{rushes} keys create --test` creates another.

The console, signed in by this link once, within a day, while the service runs:

{link}"""
