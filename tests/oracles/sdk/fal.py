"""fal's own client: fal-client. Its host is a constant with https, so the whole template is replaced."""

from __future__ import annotations

from typing import Any

import fal_client
from fal_client import client as internals


def submit(url: str, application: str, arguments: dict[str, Any]) -> Any:
    return _client(url).submit(application, arguments=arguments).request_id


def status(url: str, application: str, request_id: str) -> Any:
    found = _client(url).status(application, request_id, with_logs=False)
    return {"kind": type(found).__name__, "error": getattr(found, "error", None)}


def result(url: str, application: str, request_id: str) -> Any:
    return _client(url).result(application, request_id)


def cancel(url: str, application: str, request_id: str) -> None:
    _client(url).cancel(application, request_id)


def _client(url: str) -> Any:
    internals.QUEUE_URL_FORMAT = f"{url}/"
    return fal_client.SyncClient(key="fake-id:fake-secret")
