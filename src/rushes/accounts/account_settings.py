"""Settings of accounts and keys: the models that they may use, and what the requests of an account get by default.

The table stores each setting by its name, as JSON. A change holds from the next request on, in every process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

from rushes.accounts.account_store import ACCOUNT_BY_ID, no_such_account
from rushes.accounts.limits import KEY_OF_ACCOUNT, LOCK_ACCOUNT, WHOLE_ACCOUNT
from rushes.accounts.model_access import ALL_MODELS, ModelAccess
from rushes.audit.actor import actor
from rushes.audit.log import record
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import KeyNotFound

SETTINGS_OF = "SELECT name, value FROM account_settings WHERE account_id = :account_id AND key_id = :key_id"

SETTINGS_OF_BOTH = """
SELECT key_id, name, value FROM account_settings WHERE account_id = :account_id AND key_id IN ('', :key_id)
"""

SET_SETTING = """
INSERT INTO account_settings (account_id, key_id, name, value) VALUES (:account_id, :key_id, :name, :value)
ON CONFLICT (account_id, key_id, name) DO UPDATE SET value = excluded.value
"""

CLEAR_SETTING = """
DELETE FROM account_settings WHERE account_id = :account_id AND key_id = :key_id AND name = :name
"""


class SettingName(StrEnum):
    """The settings of an account. A key has `models` only."""

    MODELS = "models"
    DEFAULT_MODEL = "default_model"
    FALLBACK_MODELS = "fallback_models"
    ON_RETIRED = "on_retired"
    RETENTION_S = "retention_s"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The settings of one account or key; None where nothing is set."""

    models: tuple[str, ...] | None = None
    """Patterns of the models that may be used; None for all."""
    default_model: str | None = None
    """For requests that name neither a model nor a provider."""
    fallback_models: tuple[str, ...] | None = None
    on_retired: str | None = None
    retention_s: float | None = None
    """How long finished videos are kept."""


NO_SETTINGS = AccountSettings()


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for one key: what it may use, and the defaults of its account."""

    access: ModelAccess = ALL_MODELS
    defaults: AccountSettings = NO_SETTINGS


NO_RULES = InForce()


class AccountSettingStore:
    """Reads and changes settings of accounts and keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, account_id: str, key_id: str = WHOLE_ACCOUNT) -> AccountSettings:
        """What is set for an account or a key itself."""
        return _settings(await self._database.read(SETTINGS_OF, account_id=account_id, key_id=key_id))

    async def in_force(self, account_id: str, key_id: str) -> InForce:
        """What holds for requests with this key."""
        rows = await self._database.read(SETTINGS_OF_BOTH, account_id=account_id, key_id=key_id)
        if not rows:
            return NO_RULES
        of_account = _settings([row for row in rows if row["key_id"] == WHOLE_ACCOUNT])
        of_key = _settings([row for row in rows if row["key_id"] != WHOLE_ACCOUNT])
        return InForce(ModelAccess(of_account.models, of_key.models), of_account)

    async def change(
        self, account_id: str, changes: Mapping[SettingName, Any], key_id: str = WHOLE_ACCOUNT
    ) -> AccountSettings:
        """Set these settings, and clear those that are None; others stay. Returns what is set then.

        Raises AccountNotFound, or KeyNotFound.
        """
        who = actor()

        async def body(transaction: Transaction) -> AccountSettings:
            # Locked, so that of two changes at once the second begins where the first has ended.
            await transaction.fetch(LOCK_ACCOUNT, account_id=account_id)
            await _check_exists(transaction, account_id, key_id)
            place = {"account_id": account_id, "key_id": key_id}
            before = _settings(await transaction.fetch(SETTINGS_OF, **place))
            for name, value in changes.items():
                if value is None:
                    await transaction.execute(CLEAR_SETTING, **place, name=name)
                else:
                    await transaction.execute(SET_SETTING, **place, name=name, value=json.dumps(value))
            after = _settings(await transaction.fetch(SETTINGS_OF, **place))
            await record(
                transaction,
                who,
                "settings.set",
                key_id or account_id,
                account_id=account_id,
                before=_facts(before),
                after=_facts(after),
            )
            return after

        return await self._database.write(body)


def _facts(settings: AccountSettings) -> dict[str, Any]:
    """What the audit log says of settings: those that are set."""
    return {name: value for name, value in asdict(settings).items() if value is not None}


async def _check_exists(transaction: Transaction, account_id: str, key_id: str) -> None:
    if await fetch_one(transaction, ACCOUNT_BY_ID, id=account_id) is None:
        raise no_such_account(account_id)
    if key_id == WHOLE_ACCOUNT:
        return
    if await fetch_one(transaction, KEY_OF_ACCOUNT, id=key_id, account_id=account_id) is None:
        raise KeyNotFound(f"API key '{key_id[:100]}' not found; `rushes keys list` shows all of them")


def _settings(rows: Sequence[Row]) -> AccountSettings:
    values: dict[str, Any] = {row["name"]: from_json(row["value"]) for row in rows}
    models, fallback_models = values.get(SettingName.MODELS), values.get(SettingName.FALLBACK_MODELS)
    return AccountSettings(
        models=None if models is None else tuple(models),
        default_model=values.get(SettingName.DEFAULT_MODEL),
        fallback_models=None if fallback_models is None else tuple(fallback_models),
        on_retired=values.get(SettingName.ON_RETIRED),
        retention_s=values.get(SettingName.RETENTION_S),
    )
