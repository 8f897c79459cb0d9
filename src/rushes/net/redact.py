"""Keeps secrets out of text that others wrote: a provider's message may quote the key it was sent."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "[redacted]"
SHORTEST_SECRET_CHARS: Final = 4

LONGEST_ESCAPED_CHARS: Final = 512
"""Longer secrets are documents, which are looked for line by line."""
ALPHANUMERICS: Final = re.compile(r"[A-Za-z0-9]+")
ENTITIES: Final = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",)}

PUBLIC_MEMBERS: Final = frozenset({
    "type", "client_email", "client_id", "project_id", "universe_domain",
    "auth_uri", "token_uri", "auth_provider_x509_cert_url", "client_x509_cert_url",
    "region", "location", "bucket", "project",
})  # fmt: skip
"""What may be shown of a credential that is a JSON document. All else in it is secret, also in shapes yet unknown."""

KEY_SHAPED: Final = re.compile(
    r"""
      -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|$)
    # JSON Web Tokens. A run of such characters is looked at once, from its beginning, and only if a dot and more
    # follow it: from each "eyJ" inside the run it would take time that grows with the square of its length.
    | (?<![\w-])(?=[\w-]*+\.[\w-]{8})[\w-]*?eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?
    | \bAIza[\w-]{20,}                                 # Google API keys
    | \bAQ\.[\w-]{20,}
    | \bya29\.[\w.-]{20,}                              # Google access tokens
    | \b(?:sk|pk|rk|xai|r8|hf)[-_][A-Za-z0-9_-]{16,}
    | \bkey_[0-9a-f]{32,}
    | \bluma-api-[\w-]{16,}
    | \brushes_(?:live|test)_\w{16,}                 # our own
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                    # AWS key ids
    | (?<=[?&]key=)[^&\s"']+
    | (?<=bearer\ )[\w.~+/=-]{12,}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

ORDINARY_PATH: Final = re.compile(
    r"""(?: / (?: [a-z]{1,15} | v1 | job_[0-9abcdefghjkmnpqrstvwxyz]{24} | [0-9]{1,2}\.(?:mp4|jpg) ) )+""", re.VERBOSE
)
"""A request's path in which nothing can be shaped like a key; that is most of them."""


class Redactor:
    """Replaces some secrets, in each form they may take in a message, and whatever else is shaped like a key."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    # What follows is found out when first needed: most jobs end without a message that could quote a key.

    @functools.cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(part for secret in self._secrets for part in _parts(secret))

    @functools.cached_property
    def _forms(self) -> list[str]:
        forms = {form for part in self._parts for form in _forms(part) if len(form) >= SHORTEST_SECRET_CHARS}
        # The longest first: a shorter form may be part of it.
        return sorted(forms, key=len, reverse=True)

    @functools.cached_property
    def _escapable(self) -> list[tuple[str, str]]:
        return [
            (landmark, part)
            for part in sorted(self._parts, key=len, reverse=True)
            if SHORTEST_SECRET_CHARS <= len(part) <= LONGEST_ESCAPED_CHARS
            and not part.isalnum()
            and len(landmark := max(ALPHANUMERICS.findall(part), key=len, default="")) >= SHORTEST_SECRET_CHARS
        ]

    def scrub(self, text: str) -> str:
        """The text with every secret replaced."""
        for form in self._forms:
            text = text.replace(form, MASK)
        for landmark, part in self._escapable:
            # Digits and letters are seldom escaped: where the longest run of them is not, nothing is.
            if landmark in text:
                text = _escaped_somehow(part).sub(MASK, text)
        return KEY_SHAPED.sub(MASK, text)


def scrub_path(path: str) -> str:
    """`scrub` for the path of a request, at little cost where it is an ordinary one."""
    return path if ORDINARY_PATH.fullmatch(path) else scrub(path)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with these secrets, and whatever else is shaped like a key, replaced."""
    return Redactor(secrets).scrub(text)


def _forms(part: str) -> Iterator[str]:
    yield part
    yield quote(part, safe="")
    yield quote_plus(part)
    yield json.dumps(part)[1:-1]
    yield from _base64_forms(part.encode())


def _escaped_somehow(part: str) -> re.Pattern[str]:
    """The secret in any mixture of percents, backslashes and entities: escaped for a page, for a log, twice over.

    Every repetition is bounded: a text of a million backslashes is searched in one pass.
    """
    return re.compile("".join(char if char.isalnum() else _spellings(char) for char in part))


def _spellings(char: str) -> str:
    number = ord(char)
    spelled = [
        rf"\\{{0,8}}{re.escape(char)}",
        "".join(f"%(?:25){{0,8}}(?i:{byte:02x})" for byte in char.encode()),
        rf"\\{{1,8}}(?:u(?i:{number:04x})|x(?i:{number:02x}))",
        f"&(?:amp;){{0,8}}#(?:0{{0,8}}{number}|[xX]0{{0,8}}(?i:{number:x}));",
        *(f"&(?:amp;){{0,8}}{name};" for name in ENTITIES.get(char, ())),
    ]
    return f"(?:{'|'.join(spelled)})"


def _parts(secret: str) -> Iterator[str]:
    """The secret, and if it is a JSON document what is secret in it, whole and line by line."""
    stripped = secret.strip()
    yield stripped
    if not stripped.startswith("{"):
        return
    try:
        document = json.loads(stripped)
    except ValueError:
        return
    for name, value in document.items():
        if name not in PUBLIC_MEMBERS and isinstance(value, str):
            yield value
            yield from (line for line in value.splitlines() if not line.startswith("-----"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """What base64 makes of the secret wherever it begins in a longer text, such as the password of basic auth."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        # The characters at both ends also depend on the neighbours.
        first = (offset * 8 + 5) // 6
        last = (offset + len(secret)) * 8 // 6
        for form in (encoded[first:last], encoded[first:last].replace("+", "-").replace("/", "_")):
            if len(form) >= 2 * SHORTEST_SECRET_CHARS:
                yield form
