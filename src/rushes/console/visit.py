"""One request of a browser: who is signed in, what the form says, and how to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rushes.accounts.keys import Caller, Mode, Scope
from rushes.console.rendering import Templates
from rushes.console.security import csrf_token
from rushes.console.services import ConsoleServices
from rushes.errors import BodyTooLarge, RushesError, WrongContentType

HOME = "/console"
FORM = "application/x-www-form-urlencoded"
LARGEST_FORM_BYTES = 1024**2
MOST_FIELDS = 2000
THEME_COOKIE = "rushes_theme"
THEMES = ("light", "dark")
BOTH_MODES = ("/jobs", "/usage", "/webhooks")
"""Pages that show a live key what test keys have made, with `mode=test` in the address."""
NOTICE = "notice"
"""The query parameter that names a sentence to show above the page once."""


class Form:
    """The fields of a form or a query, in their order; one name may have several values."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    def text(self, name: str) -> str:
        """The first value without white space around it; empty if the form has no such value."""
        return next((value.strip() for key, value in self.pairs if key == name), "")

    def given(self, name: str) -> str | None:
        """The same, None where it is empty or not there."""
        return self.text(name) or None

    def all(self, name: str) -> list[str]:
        """Every value that is not empty."""
        return [value for key, value in self.pairs if key == name and value]

    def has(self, name: str) -> bool:
        """Whether the field is there, as a ticked box is."""
        return any(key == name for key, _ in self.pairs)

    def without(self, *names: str) -> Form:
        """The same without these fields."""
        return Form([(key, value) for key, value in self.pairs if key not in names])


@dataclass(slots=True)
class Visit:
    """What a page is given. `token` is the session's; `form_secret` is what the tokens of its forms are bound to."""

    request: Request
    services: ConsoleServices
    templates: Templates
    form: Form = field(default_factory=Form)
    caller: Caller | None = None
    token: str | None = None
    form_secret: str | None = None
    new_form_secret: str | None = None

    @property
    def signed_in(self) -> Caller:
        """The caller of a page that needs one."""
        assert self.caller is not None, "only pages that need no session may be without a caller"
        return self.caller

    @property
    def now_ms(self) -> int:
        """The time of the service's clock."""
        return self.services.clock.now_ms()

    @property
    def root(self) -> str:
        """What addresses begin with: the path that a proxy serves us under."""
        return self.asked_root or self.services.links.path_prefix

    @property
    def place(self) -> str:
        """The path that was asked for, as the console knows it: without what a proxy serves us under."""
        return self.request.url.path.removeprefix(self.asked_root)

    @property
    def asked_root(self) -> str:
        """What the path of this request begins with, where a proxy does not take that away."""
        scope = self.request.scope
        root: str = scope.get("app_root_path", scope.get("root_path", ""))
        return root

    @property
    def query(self) -> Form:
        """The query of the address."""
        return Form(self.request.query_params.multi_items())

    @property
    def section(self) -> str:
        """The first part of the page's path, by which the navigation knows where the visitor is."""
        below = self.place.removeprefix(HOME)
        return f"/{below.lstrip('/').partition('/')[0]}"

    def may(self, scope: Scope) -> bool:
        """Whether a caller is signed in and has this scope. Who looks at test mode with a live key may only read."""
        return self.caller is not None and scope in self.caller.scopes and self._suits_mode(scope)

    def _suits_mode(self, scope: Scope) -> bool:
        # Pages of administration show both modes at once, so a test key has none of them.
        is_test = self.caller is not None and self.caller.mode is Mode.TEST
        return not (scope is Scope.ADMIN and is_test) and (scope is Scope.READ or not self.looks_at_test)

    @property
    def looks_at_test(self) -> bool:
        """Whether a live key looks at what its account has in test mode."""
        return self.caller is not None and self.caller.viewed is Mode.TEST

    @property
    def is_fetch(self) -> bool:
        """Whether a script of ours asks, which wants JSON or a fragment and not a page."""
        return self.request.headers.get("x-requested-with") == "fetch"

    @property
    def theme(self) -> str | None:
        """The theme that the visitor has chosen; None follows the system."""
        theme = self.request.cookies.get(THEME_COOKIE)
        return theme if theme in THEMES else None

    def path(self, path: str = "", **query: object) -> str:
        """An address of the console. Its query has the given parameters that are not None."""
        if self.looks_at_test and path.startswith(BOTH_MODES):
            query.setdefault("mode", Mode.TEST.value)
        pairs = [
            (name, str(one))
            for name, value in query.items()
            for one in (value if isinstance(value, (list, tuple)) else (value,))
            if one is not None and one != ""
        ]
        return f"{self.root}{HOME}{path}{'?' if pairs else ''}{urlencode(pairs)}"

    def page(
        self, template: str, /, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None, **context: Any
    ) -> Response:
        """A page or fragment made from a template."""
        content = self.templates.render(
            template,
            visit=self,
            csrf=None if self.form_secret is None else csrf_token(self.form_secret),
            Scope=Scope,
            is_test=self.caller is not None and self.caller.mode is Mode.TEST,
            **context,
        )
        return HTMLResponse(content, status_code=int(status), headers={"Cache-Control": "no-store", **(headers or {})})

    def go(self, path: str, **query: object) -> Response:
        """A redirect to a page of the console, to be fetched by GET."""
        return RedirectResponse(self.path(path, **query), status_code=HTTPStatus.SEE_OTHER)


async def read_form(request: Request) -> Form:
    """The fields of a urlencoded form. Raises WrongContentType or BodyTooLarge."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise WrongContentType(f"The form must be {FORM}, not '{content_type[:100] or 'of no stated type'}'")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM_BYTES:
            raise BodyTooLarge(f"The form is larger than {LARGEST_FORM_BYTES // 1024} KiB")
    try:
        text = body.decode("utf-8", "replace")
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError as exc:
        raise BodyTooLarge(f"The form has more than {MOST_FIELDS} fields") from exc
    # Browsers send line breaks as CRLF; the API's callers send what they typed.
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])


def sentence_of(error: RushesError) -> str:
    """An error's message as a sentence that begins with a capital."""
    message = error.message
    return message[:1].upper() + message[1:]
