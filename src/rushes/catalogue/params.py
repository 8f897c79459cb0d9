"""What may stand in `additional_params`: portable names are lifted out of it, reserved names are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rushes.catalogue.wording import shown
from rushes.domain.options import OPTIONS
from rushes.domain.request import Json
from rushes.errors import UnsupportedOption

# The last are ours alone: left inside, a key would be stored with the request and an address sent to the provider.
PORTABLE: Final = frozenset(option.name for option in OPTIONS) | {
    "response_format", "byok_api_key", "webhook_url", "webhook_events",
}  # fmt: skip

CREDENTIALS: Final = frozenset({
    "apikey", "byokapikey", "xapikey", "xgoogapikey", "authorization", "bearertoken", "accesstoken", "refreshtoken",
    "sessiontoken", "secretkey", "secretaccesskey", "accesskeyid", "clientsecret", "privatekey", "password",
})  # fmt: skip
"""Plain names under which nothing but a secret stands: what is sent as given is stored and shown as given."""


def lift_portable(
    fields: Mapping[str, Json], additional_params: Mapping[str, Json]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The fields with every portable name of `additional_params` among them, and the params that remain.

    Works on the body as it was sent, so that what is lifted is type-checked like the rest. Null means not given.
    Raises UnsupportedOption if a name is given in both places with different values (which are not shown, for one of
    them may be a key), or if what remains has a credential in it.
    """
    lifted = dict(fields)
    rest: dict[str, Json] = {}
    for name, value in additional_params.items():
        if name not in PORTABLE:
            rest[name] = value
        elif value is None:
            continue
        elif lifted.get(name) is None:
            lifted[name] = value
        elif not _same(lifted[name], value):
            raise UnsupportedOption(
                f"{name} is given twice with different values, as a field and inside additional_params; give it once",
                field=name,
            )
    _refuse_credentials(rest)
    return lifted, rest


def _refuse_credentials(params: Mapping[str, Json]) -> None:
    waiting: list[Json] = [dict(params)]
    while waiting:
        here = waiting.pop()
        # What was read from JSON has these types and no subclass of them. `isinstance` takes five times as long.
        if type(here) is dict:
            for name, value in here.items():
                if _plain(name) in CREDENTIALS and value is not None:
                    raise UnsupportedOption(
                        f"additional_params {shown(name)} is a credential, and what stands there is stored and shown "
                        "as it is; send your own key of the provider as byok_api_key",
                        field="additional_params",
                    )
                waiting.append(value)
        elif type(here) is list:
            waiting += here


def refuse_reserved(additional_params: Mapping[str, Json], reserved: Iterable[str], *, provider: str) -> None:
    """Make sure that `additional_params` holds none of the provider's reserved names, in any of their spellings.

    Not for a job that runs on the caller's own key, where everything is theirs to decide. Raises UnsupportedOption.
    """
    if not additional_params:
        return
    for name in reserved:
        if _holds(additional_params, name.split(".")):
            raise UnsupportedOption(
                f"additional_params {shown(name)} is ours to set for '{provider}', because it is a field of its own "
                "or changes price, address or storage; it is accepted only with byok_api_key",
                field="additional_params",
            )


def refuse_null(additional_params: Mapping[str, Json], *, provider: str) -> None:
    """Make sure that no value is null, for a provider that is sent a form. Raises UnsupportedOption."""
    for name, value in additional_params.items():
        if value is None:
            raise UnsupportedOption(
                f"additional_params {shown(name)} is null, which a form for '{provider}' cannot say; leave it out",
                field="additional_params",
            )


def _same(one: Json, other: Json) -> bool:
    # In Python True equals 1; in JSON it does not.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _holds(params: Json, path: list[str]) -> bool:
    if not path:
        return True
    if not isinstance(params, Mapping):
        return False
    return any(_plain(name) == _plain(path[0]) and _holds(value, path[1:]) for name, value in params.items())


_WITHOUT_MARKS = str.maketrans("", "", "_-")


def _plain(name: str) -> str:
    # Several APIs read storageUri and storage_uri alike.
    return name.translate(_WITHOUT_MARKS).lower()
