"""Makes the documentation's site for this version in dist/site: `make docs-site`.

It works from any static file server, makes no request to another host, and has a search of its own. Versions that were
made before stay beside it, and the newest one is where dist/site itself leads.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from packaging.version import Version

from docs.service import get, running_service
from rushes import __version__

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "dist" / "site"
REFERENCE = ROOT / "dist" / "api-reference"
SPHINX = ROOT / ".venv-release" / "bin" / "sphinx-build"
LOADED_FROM_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|video|link)\b[^>]+\b(?:src|href)=["']?(?:https?:)?//[^>]+>"""
)
SWAGGER = Path(fastapi_offline.__file__).parent / "static"
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


def write_reference(folder: Path, document: object) -> None:
    """Write the API's document and a page that shows it, as `/openapi.json` and `/docs` of a running service."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(json.dumps(document, separators=(",", ":")))
    for name in SWAGGER_FILES:
        shutil.copy(SWAGGER / name, folder)
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"rushes {__version__}: the API",
        swagger_js_url=SWAGGER_FILES[0],
        swagger_css_url=SWAGGER_FILES[1],
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"supportedSubmitMethods": []},
    )
    (folder / "index.html").write_bytes(bytes(page.body))


def write_front(site: Path) -> None:
    """Lead from the site's address to the newest version, and list all of them."""
    names = {page.parent.name for page in site.glob("*/index.html")}
    versions = sorted(names, key=Version)
    links = "".join(f'<li><a href="{version}/">{version}</a></li>' for version in reversed(versions))
    (site / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>rushes</title>'
        f'<meta http-equiv="refresh" content="0; url={versions[-1]}/"><h1>rushes</h1><ul>{links}</ul></html>\n'
    )


def refuse_other_hosts(folder: Path) -> None:
    """Exit if a page loads anything from another host."""
    loads = [
        f"{page.relative_to(folder)}: {found[0]}"
        for page in folder.rglob("*.html")
        for found in LOADED_FROM_ELSEWHERE.finditer(page.read_text())
    ]
    if loads:
        raise SystemExit("\n".join(["The site would make requests to other hosts:", *loads]))


def main() -> None:
    """Build; warnings, broken links among them, are errors."""
    shutil.rmtree(REFERENCE, ignore_errors=True)
    with TemporaryDirectory() as folder, running_service(Path(folder)) as url:
        write_reference(REFERENCE / "api", get(f"{url}/openapi.json"))
    shutil.rmtree(SITE / __version__, ignore_errors=True)
    command = [SPHINX, "-q", "-W", "-n", "-E", "-c", ROOT / "docs" / "site", "-d", ROOT / "dist" / "doctrees"]
    subprocess.run([*command, "-b", "html", ROOT / "docs", SITE / __version__], check=True)
    shutil.copy(SITE / __version__ / "README.html", SITE / __version__ / "index.html")
    refuse_other_hosts(SITE / __version__)
    write_front(SITE)
    sys.stdout.write(f"The site is in dist/site. To read it: {sys.executable} -m http.server -d dist/site\n")


if __name__ == "__main__":
    main()
