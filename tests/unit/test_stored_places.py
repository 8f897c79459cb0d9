"""What accounts keep: the one list of it agrees with the settings and the answers."""

from __future__ import annotations

from rushes.api.errors import STATUS_OF
from rushes.settings import Settings
from rushes.stored_places import STORED


def test_each_has_a_name_of_its_own_a_share_and_an_answer_that_is_declared() -> None:
    assert len({stored.name for stored in STORED}) == len(STORED)
    for stored in STORED:
        assert stored.share > 0
        assert stored.beyond is None or stored.beyond in STATUS_OF


def test_a_setting_that_replaces_a_share_has_the_share_as_its_default() -> None:
    for stored in STORED:
        if stored.setting:
            assert Settings.model_fields[stored.setting].default == stored.share
