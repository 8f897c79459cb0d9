"""What a key may do to other keys: it neither makes nor changes one that may do more than itself."""

from __future__ import annotations

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import Caller, KeyRecord, Mode, Scope
from rushes.accounts.limits import LimitStore
from rushes.accounts.model_access import Patterns, covers
from rushes.catalogue.wording import listed
from rushes.errors import FieldError, InvalidRequest, KeyRestricted


async def check_reach(keys: KeyStore, limits: LimitStore, caller: Caller, key_id: str) -> KeyRecord:
    """The key of this id in the caller's account. Raises KeyNotFound, or KeyRestricted if that key may do more.

    More is another scope, live mode for a test key, a later expiry, another model, or a limit that is higher or
    missing. So a leaked key with restrictions cannot lock out the keys without them.
    """
    record = await keys.get_key(key_id, account_id=caller.account_id)
    if key_id == caller.key_id:
        return record
    own = await keys.get_key(caller.key_id)
    own_limits = await limits.read(caller.account_id, caller.key_id)
    its_limits = await limits.read(caller.account_id, key_id)
    outlives = own.expires_at is not None and (record.expires_at is None or record.expires_at > own.expires_at)
    is_less_limited = any((value := its_limits.of(name)) is None or value > most for name, most in own_limits.named())
    is_live = caller.mode is Mode.TEST and record.mode is Mode.LIVE
    has_models = not covers(own.models, record.models)
    if record.scopes - caller.scopes or is_live or outlives or is_less_limited or has_models:
        raise KeyRestricted(
            "A key cannot change one that may do more than itself (scopes, mode, expiry, limits and models)"
        )
    return record


def check_grant(
    caller: Caller,
    own: KeyRecord,
    mode: Mode,
    scopes: frozenset[Scope],
    expires_in_s: float | None,
    *,
    models: Patterns | None = None,
    has_limits: bool,
    now_ms: int,
) -> None:
    """Raise KeyRestricted if the new key would have more than the one that asks for it, `own`.

    `models` are patterns of the models that the new key may use; `has_limits` says whether `own` has limits. Raises
    InvalidRequest if the new key has no scope.
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
    if not covers(own.models, models):
        message = f"This API key is limited to the models {listed(own.models or ())}; give the new key some of them"
        raise KeyRestricted(f"{message} in 'models'")
    if own.expires_at is not None and (expires_in_s is None or now_ms + expires_in_s * 1000 > own.expires_at):
        raise KeyRestricted("This API key expires, so a key that it makes must expire no later; set 'expires_in_s'")
