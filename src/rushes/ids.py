"""Random identifiers that say what they name: `job_...`, `att_...`, `req_...`."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 24


def new_id(prefix: str) -> str:
    """`prefix_` and 24 random letters and digits (120 bits), none of which reads like another."""
    bits = secrets.randbits(5 * LENGTH)
    return f"{prefix}_" + "".join(ALPHABET[(bits >> (5 * place)) & 31] for place in range(LENGTH))
