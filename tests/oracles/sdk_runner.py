"""The child's side of an oracle: calls functions of one script in `sdk/` as standard input asks, one JSON line a call.

It runs in .venv-oracles and imports nothing of ours. A script may have any name: it never shadows the package it tests,
because Python is started with `-P` and the script is loaded by its path.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any


def plain(value: Any) -> Any:
    """`value` as JSON can carry it. Raises TypeError if it cannot."""
    for name, options in (("model_dump", {"mode": "json", "by_alias": True}), ("to_dict", {})):
        method = getattr(value, name, None)
        if callable(method):
            return method(**options)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"__type__": type(value).__name__, **dataclasses.asdict(value)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (Decimal, Path)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return {"bytes": len(value), "hex": value[:64].hex()}
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"the script returned a {type(value).__name__}, which JSON cannot carry")


def loaded(script: Path) -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location(f"oracle_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def answer(module: ModuleType, line: str) -> dict[str, Any]:
    """The outcome of one call, as an object to write."""
    asked = json.loads(line)
    function = getattr(module, asked["call"])
    try:
        return {"returned": function(**asked["arguments"])}
    except Exception as error:  # noqa: BLE001 (what a client raises is a result here)
        return {
            "raised": type(error).__name__,
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "message": str(error),
            "status": getattr(error, "status_code", None),
        }


def main() -> None:
    """Answer calls until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a client prints must not mix with our replies
    module = loaded(Path(sys.argv[1]))
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(module, line), default=plain), file=replies, flush=True)


if __name__ == "__main__":
    main()
