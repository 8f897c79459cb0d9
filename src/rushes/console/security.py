"""What keeps the console's pages from being used by other sites: headers, the origin of forms, tokens in forms."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from rushes.errors import RushesError

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SAME_ORIGIN = frozenset({"same-origin", "none"})


class ForeignForm(RushesError):
    """A form that was not sent from one of the console's own pages."""

    code = "foreign_form"


def csp(media_origin: str | None) -> str:
    """The Content-Security-Policy of every page. Videos may also come from `media_origin`, where links lead to it."""
    media = "'self' blob:" if media_origin is None else f"'self' blob: {media_origin}"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{'' if media_origin is None else f' {media_origin}'}",
            f"media-src {media}",
            "connect-src 'self'",
            "font-src 'none'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def page_headers(media_origin: str | None) -> dict[str, str]:
    """What every answer of the console carries."""
    return {
        "Content-Security-Policy": csp(media_origin),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not `no-referrer`: browsers then send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }


def csrf_token(secret: str) -> str:
    """The token that forms carry under this cookie. It tells nothing of the cookie itself."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"rushes console form", hashlib.sha256).hexdigest()


def check_form(secret: str | None, given: str | None) -> None:
    """Raise ForeignForm unless a form carries the token of its cookie."""
    expected = "" if secret is None else csrf_token(secret)
    if secret is None or given is None or not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise ForeignForm("This form was opened in another session or has been open for too long; send it again")


def check_origin(request: Request) -> None:
    """Raise ForeignForm if the browser says that another site has sent this form."""
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site in SAME_ORIGIN
    else:
        # Browsers from before Sec-Fetch-Site, and plain http on another host than localhost.
        origin = headers.get("origin")
        is_ours = origin is None or urlsplit(origin).netloc == headers.get("host", "")
    if not is_ours:
        raise ForeignForm("This form was sent from another site; open the page here and send it again")


def local_path(given: str | None, home: str, default: str) -> str:
    """`given` if it is a path below `home` on this host, else `default`: a redirect never leads to another site."""
    if given is None or not given.isprintable() or "\\" in given:
        return default
    parts = urlsplit(given)
    is_below = parts.path == home or parts.path.startswith(f"{home}/")
    if parts.scheme or parts.netloc or given.startswith("//") or not is_below:
        return default
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        return default
    return given
