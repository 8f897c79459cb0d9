"""A vendor's own client in a process of its own, in the packages of .venv-oracles."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-oracles"
PYTHON = ENVIRONMENT / "bin" / "python"
SCRIPTS = Path(__file__).parent / "sdk"
RUNNER = Path(__file__).parent / "sdk_runner.py"
NODE = ROOT / "tests" / "node"
LONGEST_REPLY_BYTES = 64 * 1024 * 1024


class SdkError(Exception):
    """The vendor's client raised an exception.

    `name` is its class, `kinds` the class and its bases, and `status` the HTTP status that it carries, if any.
    """

    def __init__(self, name: str, kinds: list[str], message: str, status: int | None) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.kinds = kinds
        self.message = message
        self.status = status


class Sdk:
    """Calls functions of one script of `sdk/`, one at a time."""

    def __init__(self, process: Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def call(self, function: str, **arguments: Any) -> Any:
        """What the script's function returns, as JSON carries it. Raises SdkError if it raises."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": function, "arguments": arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        reply = await self.reply()
        if "raised" in reply:
            raise SdkError(reply["raised"], reply["kinds"], reply["message"], reply["status"])
        return reply["returned"]

    async def reply(self) -> dict[str, Any]:
        """The next line that the child writes."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the script ended:\n{self._errors.read_text('utf-8', 'replace')[-4000:]}")
        reply = json.loads(line)
        assert isinstance(reply, dict)
        return reply

    async def close(self) -> None:
        """End the child."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


def missing(name: str) -> str | None:
    """What has to be installed before script `name` can run, or None."""
    if not name.endswith(".mjs"):
        return (
            None if (ENVIRONMENT / ".ready").exists() else "the vendors' clients are not installed: run `make oracles`"
        )
    if shutil.which("node") is None:
        return "the vendors' JavaScript clients need Node; on Debian it is the package nodejs"
    if not (NODE / "node_modules" / ".ready").exists():
        return "the vendors' JavaScript clients are not installed: run `make node`"
    return None


def command(name: str) -> Sequence[str | Path]:
    """What starts script `name`."""
    if name.endswith(".mjs"):
        return (shutil.which("node") or "node", NODE / "runner.mjs", NODE / "sdk" / name)
    return (PYTHON, "-P", RUNNER, SCRIPTS / f"{name}.py")


async def start_sdk(name: str, folder: Path, *, apart: bool = False, **settings: str) -> Sdk:
    """Start `sdk/NAME.py`, or `tests/node/sdk/NAME` for a name that ends with `.mjs`.

    `apart` puts the packages of group `oracles-apart` before the others. `settings` become environment variables of the
    child, which has no other but its path.
    """
    errors = folder / f"{name}.stderr"
    environment = {"PATH": os.defpath, "HOME": str(folder), **settings}
    if apart:
        environment["PYTHONPATH"] = str(ENVIRONMENT / "apart")
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command(name),
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
            env=environment,
            limit=LONGEST_REPLY_BYTES,
        )
    sdk = Sdk(process, errors)
    assert await sdk.reply() == {"ready": True}
    return sdk
