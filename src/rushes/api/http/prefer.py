"""The `Prefer` header (RFC 7240): how long a caller wants us to wait. What we cannot read counts as not said."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

LONGEST_WAIT_S = 60

_PART = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
"""What stands between commas, where those inside quotes do not count."""
PREFER_PARAMETER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=N`: answer when the job has ended, or after N seconds (at most {LONGEST_WAIT_S}). "
    "`respond-async`: answer at once.",
    "schema": {"type": "string", "examples": ["wait=30"]},
}
"""How the API's description shows the header."""


@dataclass(frozen=True, slots=True)
class Preference:
    """What the caller prefers; None if there is no word about it."""

    wait_s: int | None = None
    respond_async: bool = False

    def applied(self, *, has_waited: bool) -> dict[str, str]:
        """The `Preference-Applied` header for what was honoured."""
        honoured = ["respond-async"] if self.respond_async else []
        if has_waited and self.wait_s is not None:
            honoured.append(f"wait={self.wait_s}")
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}


NONE = Preference()


def preference_of(request: Request) -> Preference:
    """What the request prefers. Of a preference said twice the first counts."""
    # Looked for by hand: most requests have none, and reading a job must cost nothing more.
    lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"prefer"]
    if not lines:
        return NONE
    found: dict[str, str] = {}
    for part in _PART.findall(",".join(lines)):
        name, _, value = part.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Preference(
        wait_s=_seconds(found.get("wait", "")),
        # A value would make it another preference, which is not ours.
        respond_async=found.get("respond-async") == "",
    )


def _seconds(value: str) -> int | None:
    if not value.isascii() or not value.isdecimal():
        return None
    return LONGEST_WAIT_S if len(value) > 9 else min(int(value), LONGEST_WAIT_S)
