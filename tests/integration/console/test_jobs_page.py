"""What a page of jobs costs: bytes and statements, which depend on no machine's speed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rushes.db.database import Row
from rushes.db.sqlite import SqliteDatabase
from tests.fixtures.fronts import Front, running_front

LARGEST_PAGE_BYTES = 200_000
MOST_STATEMENTS = 5
"""The session, the key, the jobs and their counts; one to spare."""
TOKEN = "a token of this test"
VIDEO = {
    "key": "videos/aa/one.mp4",
    "size_bytes": 1000,
    "sha256": "0" * 64,
    "content_type": "video/mp4",
    "width": 1280,
    "height": 720,
    "duration_s": 8.0,
}


def prepare(folder: Path) -> None:
    """Sign a browser in, and finish every job, beside the service."""
    with closing(sqlite3.connect(folder / "data" / "rushes.db", timeout=5)) as database, database:
        database.execute(
            "INSERT OR IGNORE INTO console_sessions (hash, key_id, created_at, expires_at)"
            " SELECT ?, id, 0, 9999999999999 FROM api_keys",
            (hashlib.sha256(TOKEN.encode()).hexdigest(),),
        )
        outputs = json.dumps({"version": 1, "videos": [VIDEO]})
        database.execute(
            "UPDATE jobs SET state = 'succeeded', status = 'completed', outputs = ?, started_at = created_at,"
            " completed_at = created_at + 1000",
            (outputs,),
        )


async def page_of(front: Front, path: str) -> bytes:
    answer = await front.ask("GET", path, key="", headers={"Cookie": f"rushes_console={TOKEN}"})
    assert answer.status == 200, answer.headers
    return answer.body


@pytest.mark.parametrize("path", ["/console/jobs", "/console/jobs?view=rows"])
async def test_a_page_of_50_jobs_is_small_and_asks_no_more_than_one_of_a_single_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    statements: list[str] = []
    read = SqliteDatabase.read

    async def counted(self: SqliteDatabase, sql: str, **parameters: Any) -> Sequence[Row]:
        statements.append(sql)
        return await read(self, sql, **parameters)

    async with running_front(tmp_path) as front:
        await front.new_job(prompt="x" * 600)
        prepare(tmp_path)
        await page_of(front, path)
        monkeypatch.setattr(SqliteDatabase, "read", counted)
        await page_of(front, path)
        of_one, statements[:] = len(statements), []
        for number in range(49):
            await front.new_job(prompt=f"{number} " + "x" * 600)
        prepare(tmp_path)
        statements.clear()
        page = await page_of(front, path)
        of_fifty = len(statements)
    assert page.count(b'loading="lazy"') == 50
    assert len(page) < LARGEST_PAGE_BYTES
    # The key is looked up again after a commit, and the poll of whoever waits may fall into it.
    assert of_one <= of_fifty <= MOST_STATEMENTS


def test_the_console_is_imported_when_its_first_page_is_asked_for() -> None:
    code = (
        "import sys, rushes.app.service\n"
        "found = [name for name in sys.modules if name == 'jinja2' or name.startswith('rushes.console.pages')]\n"
        "sys.exit(repr(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_scripts_of_all_pages_together_are_small() -> None:
    folder = Path(__file__).parents[3] / "src" / "rushes" / "console" / "static"
    assert sum(len(script.read_bytes()) for script in folder.glob("*.js")) < 40_000
