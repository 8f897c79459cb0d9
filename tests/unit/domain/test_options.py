"""The one table of options says everything, and what follows from it is complete."""

from __future__ import annotations

from dataclasses import fields

from rushes.catalogue.model import Defaults
from rushes.catalogue.params import PORTABLE
from rushes.domain.options import DEFAULTED, OPTIONS
from rushes.domain.request import Role, VideoRequest
from rushes.intake.generation import GenerationBody

NO_OPTIONS = {"media", "additional_params", "previous"}
"""Attributes of a request that no field holds as it is."""


def test_every_attribute_of_a_request_is_an_option_and_every_role_has_a_field() -> None:
    assert {option.attribute for option in OPTIONS} - {None} == {one.name for one in fields(VideoRequest)} - NO_OPTIONS
    assert {option.role for option in OPTIONS} - {None} == set(Role)
    for role in Role:
        assert role.field in {option.name for option in OPTIONS if option.role is role}


def test_what_a_model_completes_is_what_its_entry_has_defaults_for() -> None:
    assert DEFAULTED.keys() == Defaults.model_fields.keys()


def test_each_option_is_a_field_of_a_body_and_counts_as_one_among_additional_params() -> None:
    names = [option.name for option in OPTIONS]
    assert len(names) == len(set(names))
    assert GenerationBody.model_fields.keys() >= set(names)
    assert set(names) < PORTABLE
    assert all(option.description for option in OPTIONS)
