"""What a key may do to other keys: it neither makes nor changes one that may do more than itself."""

from __future__ import annotations

from rushes.accounts.keys import Caller, KeyRecord, Mode, Scope
from rushes.errors import FieldError, InvalidRequest, KeyRestricted


def check_reach(caller: Caller, record: KeyRecord) -> None:
    """Raise KeyRestricted if that key may do more: a test key that was found must not shut live ones out."""
    if record.scopes - caller.scopes or (caller.mode is Mode.TEST and record.mode is Mode.LIVE):
        raise KeyRestricted("A key cannot change one that may do more than itself")


def check_grant(
    caller: Caller,
    own: KeyRecord,
    mode: Mode,
    scopes: frozenset[Scope],
    expires_in_s: float | None,
    *,
    has_limits: bool,
    now_ms: int,
) -> None:
    """Raise KeyRestricted if the new key would have more than the one that asks for it, `own`.

    `has_limits` says whether that one has limits of its own. Raises InvalidRequest if the new key has no scope.
    """
    if not scopes:
        message = "is required: the key that asks has no usual scope to pass on"
        raise InvalidRequest(f"scopes: {message}", [FieldError("scopes", message)])
    beyond = scopes - caller.scopes
    if beyond:
        raise KeyRestricted(f"This API key cannot give the scope '{min(beyond)}', which it does not have itself")
    if caller.mode is Mode.TEST and mode is Mode.LIVE:
        raise KeyRestricted("A test key cannot make a live one")
    if has_limits:
        raise KeyRestricted("This API key has limits of its own, so it cannot make keys")
    if own.expires_at is not None and (expires_in_s is None or now_ms + expires_in_s * 1000 > own.expires_at):
        raise KeyRestricted("This API key expires, so a key that it makes must expire no later; set 'expires_in_s'")
