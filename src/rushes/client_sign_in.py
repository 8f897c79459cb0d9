"""Access tokens that `rushes login` has kept, one for each service, in a file that only its user can read."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any


def sign_in_file() -> Path:
    """Where the tokens are: `rushes/sign-in.json` in the user's configuration folder."""
    configured = os.environ.get("XDG_CONFIG_HOME")  # noqa: TID251 - as client_settings.py
    folder = Path(configured) if configured else Path.home() / ".config"
    return folder / "rushes" / "sign-in.json"


def keep_token(base_url: str, token: str, ends_at: float) -> Path:
    """Keep the token of a service until it ends, in seconds since 1970. Returns the file."""
    kept = _read()
    kept[base_url] = {"token": token, "ends_at": ends_at}
    return _write(kept)


def find_token(base_url: str) -> str | None:
    """The token of a service, unless it has ended."""
    found = _read().get(base_url.rstrip("/"))
    if not isinstance(found, dict) or not isinstance(found.get("token"), str):
        return None
    return found["token"] if float(found.get("ends_at", 0)) > time.time() else None


def forget_token(base_url: str) -> bool:
    """Remove the token of a service. Returns whether there was one."""
    kept = _read()
    if kept.pop(base_url, None) is None:
        return False
    _write(kept)
    return True


def _read() -> dict[str, Any]:
    # A broken file is as good as none: the next login writes another.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        found = json.loads(sign_in_file().read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _write(kept: dict[str, Any]) -> Path:
    path = sign_in_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(kept, file)
    fresh.replace(path)
    return path
