"""Reads amounts of money from options."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import typer

DECIMALS = 6
"""Amounts are stored in millionths of a dollar."""


def dollars(text: str, option: str, *, most: int) -> Decimal:
    """The amount in USD that an option gives. Raises typer.BadParameter for anything else."""
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or not 0 <= usd <= most or usd != round(usd, DECIMALS):
        raise typer.BadParameter(
            f"'{text}' is not an amount in USD such as 5 or 2.50 (0 to {most:,})", param_hint=option
        )
    return usd
