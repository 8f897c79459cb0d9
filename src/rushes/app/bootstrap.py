"""The first key of a service whose operator has only its environment, as in a container."""

from __future__ import annotations

import structlog

from rushes.accounts.key_store import KeyStore
from rushes.accounts.keys import is_key
from rushes.errors import StartupError
from rushes.settings import Settings

log = structlog.get_logger(__name__)


async def ensure_bootstrap_key(settings: Settings, keys: KeyStore, now_ms: int) -> None:
    """Make sure that the key which the setting brings works, unless an operator has ended it. Raises StartupError."""
    if settings.bootstrap_key is None:
        return
    key = settings.bootstrap_key.get_secret_value()
    if not is_key(key):
        # The value is not shown, wrong or not.
        raise StartupError(
            "RUSHES_BOOTSTRAP_KEY must be 32 to 256 letters, digits or any of . _ ~ + / = - and no access token; "
            "`openssl rand -hex 32` makes one"
        )
    record = await keys.ensure_bootstrap_key(key)
    state = record.state(now_ms)
    if state != "valid":
        log.warning("bootstrap_key_is_not_let_in", key_id=record.id, state=state)
