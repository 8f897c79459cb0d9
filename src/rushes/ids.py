"""Random identifiers with a prefix for their kind: `job_...`, `att_...`, `req_...`."""

from __future__ import annotations

import os

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 24

# A byte's lowest five bits choose the letter, so each of the 32 is as likely as the others.
_LETTER_OF_BYTE = bytes(ALPHABET.encode()[byte % len(ALPHABET)] for byte in range(256))


def new_id(prefix: str) -> str:
    """`prefix_` and 24 random letters and digits (120 bits), without letters that look alike."""
    return f"{prefix}_{os.urandom(LENGTH).translate(_LETTER_OF_BYTE).decode()}"
