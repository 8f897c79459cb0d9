"""The settings file of the working directory is read only if no other user could have written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rushes.errors import StartupError
from rushes.settings import load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUSHES_CONFIG", raising=False)
    path = tmp_path / "rushes.toml"
    path.write_text("link_ttl_s = 1234\n", "utf-8")
    path.chmod(0o644)
    return path


def test_a_file_of_ones_own_is_read(config: Path) -> None:
    assert load_settings().link_ttl_s == 1234


def test_a_file_that_every_user_can_change_is_refused(config: Path) -> None:
    config.chmod(0o666)
    with pytest.raises(StartupError, match=r"rushes\.toml.*changed by every user"):
        load_settings()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_refused_unless_it_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(config, 12345, 12345)
    with pytest.raises(StartupError, match="belongs to another user"):
        load_settings()
    monkeypatch.setenv("RUSHES_CONFIG", str(config))
    assert load_settings().link_ttl_s == 1234
