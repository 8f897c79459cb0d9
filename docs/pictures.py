"""Makes the README's pictures from a real run: `python -m docs.pictures`.

`docs/images/frame.webp` is a frame of the video that `rushes demo` saves. `docs/images/terminal.svg` shows what three
commands print. The script starts and stops the service that they call.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from PIL import Image
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

FOLDER = Path(__file__).resolve().parent / "images"
FRAME = FOLDER / "frame.webp"
TERMINAL = FOLDER / "terminal.svg"
MOST_BYTES = 200_000
FRAME_AT_S = 3.0
FRAME_SIZE = (960, 540)
COLUMNS = 100
RUSHES = str(Path(sys.executable).parent / "rushes")
PROMPT = "A lighthouse in a storm, waves over the rocks"

THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [(40, 44, 52), (224, 108, 117), (152, 195, 121), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194),
     (220, 223, 228)],
)  # fmt: skip
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>A terminal: a video is made, listed and shown</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""
"""Rich's own frame without its web fonts, so that the picture loads nothing."""


def run_demo(folder: Path) -> Path:
    """Play `rushes demo` in this folder, and return the video it saves."""
    command = [RUSHES, "demo", "--port", "18080", "--out", str(folder), "--data-dir", str(folder / "demo-data")]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (video,) = folder.glob("*.mp4")
    return video


def save_frame(video: Path) -> None:
    """Save the frame that is shown at FRAME_AT_S."""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if float(frame.time or 0.0) >= FRAME_AT_S:
                picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]  # av's stub leaves it untyped
                picture.resize(FRAME_SIZE).save(FRAME, quality=80)
                return
    raise RuntimeError(f"{video} is shorter than {FRAME_AT_S} s")


@contextmanager
def service(folder: Path) -> Iterator[dict[str, str]]:
    """A running service; the environment in which clients find it."""
    environment = {**os.environ, "RUSHES_DATA_DIR": str(folder / "data"), "COLUMNS": str(COLUMNS)}
    key = subprocess.check_output([RUSHES, "keys", "create", "--test"], env=environment, text=True, cwd=folder)
    process = subprocess.Popen(
        [RUSHES, "serve", "--port", "0"], env=environment, text=True, cwd=folder, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        yield {**environment, "RUSHES_BASE_URL": url, "RUSHES_API_KEY": key.split()[-1], "TERM": "xterm-256color"}
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def printed(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """What a command prints to a terminal on standard output, colours included."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [RUSHES, *command], env=environment, cwd=folder, stdout=theirs, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        content = b""
        while True:
            try:
                chunk = terminal.read(4096)
            except OSError:  # Linux says so where the other end of a terminal is closed.
                break
            if not chunk:
                break
            content += chunk
        if process.wait() != 0:
            raise RuntimeError(f"rushes {' '.join(command)} ended with {process.returncode}")
    return content.decode().replace("\r\n", "\n")


def save_terminal(folder: Path) -> None:
    """Run three commands as a user would, and draw what they print."""
    console = Console(record=True, width=COLUMNS, file=StringIO())
    with service(folder) as environment:
        generate = ["generate", PROMPT, "--model", "veo-3.1-generate-001", "--duration", "4", "--output", "storm.mp4"]
        made = printed(generate, environment, folder)
        listed = printed(["jobs", "list"], environment, folder)
        job = re.search(r"job_[a-z0-9]{24}", listed)
        assert job is not None
        shown = printed(["jobs", "show", job[0]], environment, folder)
    typed = f'generate "{PROMPT}" \\\n    --model veo-3.1-generate-001 --duration 4 --output storm.mp4'
    for command, output in ((typed, made), ("jobs list", listed), (f"jobs show {job[0]}", shown)):
        console.print(Text.assemble(("$ ", "bold green"), (f"rushes {command}", "bold")))
        console.print(Text.from_ansi(output))
    TERMINAL.write_text(console.export_svg(title="rushes", theme=THEME, code_format=SVG), "utf-8")


def main() -> None:
    """Make both pictures, and refuse ones that are too large for a page."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        save_frame(run_demo(Path(name)))
        save_terminal(Path(name))
    for picture in (FRAME, TERMINAL):
        size_bytes = picture.stat().st_size
        sys.stdout.write(f"{picture.name}: {size_bytes} bytes\n")
        if size_bytes > MOST_BYTES:
            raise SystemExit(f"{picture.name} is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
