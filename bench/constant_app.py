"""The yardstick: the same framework and server with the same settings, answering a constant or a plain file."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import FileResponse, Response


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True, help="Size of the answer at /constant.")
    parser.add_argument("--file", type=Path, help="What /file answers.")
    given = parser.parse_args()
    uvloop.run(_serve(_app(given.bytes, given.file), given.port))


def _app(size_bytes: int, file: Path | None) -> FastAPI:
    app = FastAPI()
    body = b'"' + b"x" * (size_bytes - 2) + b'"'

    @app.get("/constant")
    async def constant() -> Response:
        return Response(body, media_type="application/json")

    @app.get("/file")
    async def whole_file() -> Response:
        assert file is not None
        return FileResponse(file, media_type="video/mp4")

    return app


async def _serve(app: FastAPI, port: int) -> None:
    # As in src/rushes/cli/process.py.
    config = uvicorn.Config(
        app,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=2048,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main()
