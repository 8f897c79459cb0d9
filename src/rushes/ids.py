"""Random identifiers that say what they name: `job_...`, `att_...`, `req_...`."""

from __future__ import annotations

import base64
import os

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 24

_OURS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())


def new_id(prefix: str) -> str:
    """`prefix_` and 24 random letters and digits (120 bits), none of which reads like another."""
    return f"{prefix}_{base64.b32encode(os.urandom(5 * LENGTH // 8)).translate(_OURS).decode()}"
