"""What really runs for a request: which model, on which API, with whose key. Decided once, then pinned."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from rushes.catalogue.check import complete
from rushes.catalogue.choose import served as served_on
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model
from rushes.catalogue.params import refuse_null, refuse_reserved
from rushes.catalogue.succession import complete_for, with_defaults_of
from rushes.domain.request import VideoRequest
from rushes.errors import FieldError, InvalidRequest, ModelRetired, NoCredentials, UnsupportedOption
from rushes.providers.credentials import Keyring, Pinned

ANIMATIC = "animatic"
TEST_MODEL = "storyboard"


class OnRetired(StrEnum):
    """What happens to a request for a retired model."""

    SUCCESSOR = "successor"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Route:
    """The model that runs, the request as it gets it, and what the caller should know about that."""

    asked: Model
    model: Model
    request: VideoRequest
    pinned: Pinned | None
    byok: bool
    warnings: tuple[str, ...]
    pool: tuple[Pinned, ...] = ()
    """The operator's credentials that can run it, of which `pinned` is the preferred one; one is chosen when the job is
    submitted."""


class Router:
    """Decides what serves a request. `apis` are the (provider, API) pairs that have an adapter."""

    def __init__(
        self,
        catalogue: Catalogue,
        keyring: Keyring,
        *,
        apis: Collection[tuple[str, str | None]],
        setting_names: Callable[[str], tuple[str, ...]],
        on_retired: OnRetired,
    ) -> None:
        self._catalogue = catalogue
        self._keyring = keyring
        self._apis = frozenset(apis)
        self._setting_names = setting_names
        self._on_retired = on_retired

    def apis_in_use(self) -> dict[str, str | None]:
        """The providers whose models run without a key of the caller's, and on which of their APIs."""
        found: dict[str, str | None] = {}
        for provider in self._catalogue.providers:
            if (provider, None) in self._apis and not self._keyring.needs_key(provider):
                found[provider] = None
            for pinned in self._keyring.of(provider):
                if (provider, pinned.api) in self._apis:
                    found.setdefault(provider, pinned.api)
        return found

    @property
    def on_retired(self) -> OnRetired:
        """What happens to requests for retired models, where an account has no word of its own."""
        return self._on_retired

    def serve(
        self,
        asked: Model,
        request: VideoRequest,
        *,
        test: bool,
        byok_api_key: str | None,
        today: date,
        on_retired: OnRetired | None = None,
    ) -> Route:
        """What runs for this request; `on_retired` replaces what the service does.

        Raises UnsupportedOption for what the model (or a retired one's successor) does not offer, InvalidRequest for
        a key of the wrong shape, ModelRetired, or NoCredentials.
        """
        self._refuse_null(asked, request)
        if asked.provider == ANIMATIC or test:
            return self._serve_animatic(asked, request, test=test, byok_api_key=byok_api_key, today=today)
        byok = byok_api_key is not None
        if byok_api_key is None:
            self._refuse_reserved(asked, request)
        candidates = self._candidates(asked, byok_api_key)
        pinned, model, pool = self._choose(asked, candidates, today, on_retired or self._on_retired, byok=byok)
        completed, warnings = complete_for(asked, model, request, test=False)
        if model is not asked:
            warnings = (_retirement(asked, model), *warnings)
        return Route(asked, model, completed, pinned, byok, warnings, () if byok else pool)

    def serve_instead(
        self,
        main: Route,
        fallback: Model,
        request: VideoRequest,
        *,
        field: str,
        test: bool,
        byok_api_key: str | None,
        today: date,
        on_retired: OnRetired | None = None,
    ) -> Route:
        """What runs for `request` if `main` does not accept it and `fallback`, named in `field`, is to take over.

        Raises what `serve` raises; UnsupportedOption and InvalidRequest then name `field` and the fallback.
        """
        name = f"{fallback.provider}/{fallback.id}"
        if byok_api_key is not None and not test and fallback.provider != main.model.provider:
            raise UnsupportedOption(
                f"{field}: '{name}' is at another provider than your byok_api_key; leave out one of the two", field
            )
        if request.additional_params and fallback.provider != main.asked.provider:
            raise UnsupportedOption(
                f"{field}: '{name}' cannot take additional_params, which are options of '{main.asked.provider}'; "
                "leave out one of the two",
                field,
            )
        try:
            return self.serve(
                fallback,
                with_defaults_of(main.request, fallback, request),
                test=test,
                byok_api_key=byok_api_key,
                today=today,
                on_retired=on_retired,
            )
        except UnsupportedOption as exc:
            raise UnsupportedOption(f"{field}: '{name}' cannot take over: {exc.message}", field) from exc
        except InvalidRequest as exc:
            message = f"{field}: '{name}' cannot take over: {exc.message}"
            raise InvalidRequest(message, [FieldError(field, message)]) from exc

    def _serve_animatic(
        self, asked: Model, request: VideoRequest, *, test: bool, byok_api_key: str | None, today: date
    ) -> Route:
        completed = complete(asked, request, test=test)
        if asked.provider == ANIMATIC:
            if byok_api_key is not None:
                self._keyring.recognise(ANIMATIC, byok_api_key, field="byok_api_key")
            return Route(asked, asked, completed, None, byok=False, warnings=())
        self._refuse_reserved(asked, request)
        animatic = self._catalogue.find(ANIMATIC, TEST_MODEL)
        assert animatic is not None
        warnings = [
            f"Test mode: the embedded animatic draws this video at no cost; it is not the work of '{asked.id}'."
        ]
        if asked.retired is not None and asked.retired <= today:
            warnings.append(f"'{asked.id}' was retired on {asked.retired}; with a live key a successor serves it.")
        if byok_api_key is not None:
            warnings.append("Test mode: byok_api_key was not used and is not kept.")
        return Route(asked, animatic, completed, None, byok=False, warnings=tuple(warnings))

    def _candidates(self, asked: Model, byok_api_key: str | None) -> tuple[Pinned | None, ...]:
        """The credentials that the request may run on, the preferred one first; None where none is needed."""
        if byok_api_key is not None:
            own = self._keyring.recognise(asked.provider, byok_api_key, field="byok_api_key")
            if (asked.provider, own.api) not in self._apis:
                raise UnsupportedOption(
                    f"byok_api_key of kind '{own.credential.kind}' opens a part of '{asked.provider}' that is not "
                    "served here",
                    field="byok_api_key",
                )
            return (own,)
        if not self._keyring.needs_key(asked.provider):
            return (None,) if (asked.provider, None) in self._apis else ()
        return tuple(
            pinned for pinned in self._keyring.of(asked.provider) if (asked.provider, pinned.api) in self._apis
        )

    def _choose(
        self,
        asked: Model,
        candidates: tuple[Pinned | None, ...],
        today: date,
        on_retired: OnRetired,
        *,
        byok: bool,
    ) -> tuple[Pinned | None, Model, tuple[Pinned, ...]]:
        """The first credential whose API runs the model itself, else the first that runs a successor of it.

        With it the model that runs, and all credentials that can run that one.
        """
        if not candidates:
            names = " or ".join(self._setting_names(asked.provider))
            raise NoCredentials(
                f"No credentials for the provider of model '{asked.provider}/{asked.id}': set {names}, "
                "or send your own key as byok_api_key"
            )
        found: list[tuple[Pinned | None, Model]] = []
        for pinned in candidates:
            api = None if pinned is None else pinned.api
            model = served_on(asked, api, today, self._catalogue)
            runs = model is not None and (not model.apis or api in model.apis)
            if model is not None and runs and (byok or pinned is None or pinned.is_for(model)):
                found.append((pinned, model))
        itself = [(pinned, model) for pinned, model in found if model is asked]
        if itself:
            return _with_pool(itself)
        if asked.retired is not None and asked.retired <= today:
            if not found:
                raise ModelRetired(f"Model '{asked.id}' was retired on {asked.retired} and has no successor here")
            if on_retired is OnRetired.REFUSE:
                raise ModelRetired(
                    f"Model '{asked.id}' was retired on {asked.retired}; its successor is '{found[0][1].id}'"
                )
            return _with_pool(found)
        if not byok and not any(pinned is None or pinned.is_for(asked) for pinned in candidates):
            raise NoCredentials(
                f"No credentials for model '{asked.provider}/{asked.id}': none of the keys of '{asked.provider}' is "
                "for it (models), or send your own key as byok_api_key"
            )
        apis = " or ".join(f"'{api}'" for api in asked.apis)
        raise NoCredentials(
            f"No credentials for model '{asked.provider}/{asked.id}', which runs on {apis} only: "
            f"set {' or '.join(self._setting_names(asked.provider))}, or send your own key as byok_api_key"
        )

    def _refuse_null(self, asked: Model, request: VideoRequest) -> None:
        entry = self._catalogue.find_provider(asked.provider)
        if entry is not None and not entry.takes_null:
            refuse_null(request.additional_params, provider=asked.provider)

    def _refuse_reserved(self, asked: Model, request: VideoRequest) -> None:
        entry = self._catalogue.find_provider(asked.provider)
        if entry is not None:
            refuse_reserved(request.additional_params, entry.reserved_params, provider=asked.provider)


def _with_pool(
    found: list[tuple[Pinned | None, Model]],
) -> tuple[Pinned | None, Model, tuple[Pinned, ...]]:
    pinned, model = found[0]
    return pinned, model, tuple(one for one, its in found if one is not None and its is model)


def _retirement(asked: Model, served: Model) -> str:
    return f"'{asked.id}' was retired on {asked.retired}; its successor '{served.id}' serves this request."
