"""The console's own files: named by their content, so that a browser keeps each for good."""

from __future__ import annotations

import hashlib
import mimetypes
from http import HTTPStatus
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

FOLDER = "static"
KEPT = "public, max-age=31536000, immutable"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
HASH_CHARS = 12


class Statics:
    """Every file of the folder, held in memory: together they are smaller than one poster."""

    def __init__(self) -> None:
        self._contents: dict[str, tuple[bytes, str]] = {}
        self._names: dict[str, str] = {}
        for file in files("rushes.console").joinpath(FOLDER).iterdir():
            stem, dot, ending = file.name.rpartition(".")
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
            hashed = f"{stem}.{digest}.{ending}"
            kind = TYPES.get(dot + ending) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self._contents[hashed] = (content, kind)
            self._names[file.name] = hashed

    def path(self, name: str) -> str:
        """Where a file is found below the console's own path. Raises KeyError for one that does not exist."""
        return f"/static/{self._names[name]}"

    def response(self, request: Request, hashed: str) -> Response | None:
        """The file of this hashed name, or None."""
        found = self._contents.get(hashed)
        if found is None:
            return None
        content, kind = found
        headers = {"Cache-Control": KEPT, "ETag": f'"{hashed}"', "Content-Type": kind}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(content, headers=headers)
