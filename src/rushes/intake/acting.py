"""Notes who has been let in: for the log line of the request, and for the audit log."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from rushes.accounts.keys import Caller, Mode
from rushes.audit.actor import act_as_key


def act_as_caller(connection: HTTPConnection, caller: Caller) -> None:
    """From now on this request acts for `caller`."""
    connection.state.caller = caller
    client = connection.client
    act_as_key(
        caller.key_id,
        caller.account_id,
        is_test=caller.mode is Mode.TEST,
        address=None if client is None else client.host,
    )
