"""The API's own description, from our own files, so that it works without the internet.

/openapi.json and /docs are for people and generators. /llms.txt and /SKILL.md are for agents (llmstxt.org).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib.resources import files
from typing import Final

import orjson
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from rushes.api.http.security_headers import POLICY

FILES: Final = "/docs-files"
# The page asks again each time, and mostly learns that nothing has changed.
ASKED_AGAIN: Final = "no-cache"
FOR_AGENTS: Final = {"/llms.txt": "text/plain", "/SKILL.md": "text/markdown"}
"""Files of the folder `for_agents`, by their addresses, with their types."""
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def add_documentation(api: FastAPI, path_prefix: str) -> None:
    """Serve the document and its page. `path_prefix` is the path under which a proxy serves this application."""
    api.mount(FILES, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-files")

    # Made when it is first asked for, because that takes tens of milliseconds.
    @functools.cache
    def document() -> tuple[bytes, str]:
        content = api.openapi() | ({"servers": [{"url": path_prefix}]} if path_prefix else {})
        text = orjson.dumps(content)
        return text, _etag(text)

    @functools.cache
    def page() -> tuple[bytes, str]:
        html = get_swagger_ui_html(
            openapi_url=f"{path_prefix}/openapi.json",
            title=f"{api.title} - API",
            swagger_js_url=f"{path_prefix}{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{path_prefix}{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{path_prefix}{FILES}/favicon.png",
        )
        text = bytes(html.body)
        return text, _policy_of(text.decode())

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi_document(request: Request) -> Response:
        text, etag = document()
        return _answer(request, text, etag, "application/json")

    @api.get("/docs", include_in_schema=False)
    async def documentation_page() -> Response:
        text, policy = page()
        headers = {POLICY.decode(): policy, "Cache-Control": ASKED_AGAIN}
        return Response(text, headers=headers, media_type="text/html")

    for path, media_type in FOR_AGENTS.items():
        _add_file(api, path, media_type)


def _add_file(api: FastAPI, path: str, media_type: str) -> None:
    @functools.cache
    def content() -> tuple[bytes, str]:
        text = (files("rushes.api") / "for_agents" / path.removeprefix("/")).read_bytes()
        return text, _etag(text)

    @api.get(path, include_in_schema=False)
    async def file_for_agents(request: Request) -> Response:
        text, etag = content()
        return _answer(request, text, etag, media_type)


def _answer(request: Request, text: bytes, etag: str, media_type: str) -> Response:
    """The text, or 304 to a caller that has it already."""
    headers = {"ETag": etag, "Cache-Control": ASKED_AGAIN}
    if etag in request.headers.get("If-None-Match", "")[:1000]:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type=media_type)


def _etag(text: bytes) -> str:
    return f'"{hashlib.sha256(text).hexdigest()[:32]}"'


def _policy_of(page: str) -> str:
    """Lets the page run the scripts that it holds, by their hashes, and load what is ours."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in
              _INLINE_SCRIPT.findall(page)]  # fmt: skip
    scripts = " ".join(["'self'", *(f"'sha256-{one}'" for one in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
