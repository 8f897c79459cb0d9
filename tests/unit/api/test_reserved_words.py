"""No quoted value makes the published client take a refusal for another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.reserved_words import unmistakable
from rushes.errors import JobNotFound, ModelNotFound, ProviderNotFound, RushesError, UnknownField, UnsupportedOption

WORDS = ["provider", "model", "not supported", "disabled", "unavailable", "validation", "invalid format"]
texts = st.lists(st.sampled_from([*WORDS, *(word.upper() for word in WORDS), "-", "/", "x"])).map("".join)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ModelNotFound("Model 'Provider-x' not found"), "Model 'P…-x' not found"),
        (JobNotFound("Job 'model_1' not found"), "Job 'm…_1' not found"),
        (UnsupportedOption("size 'validation' is not offered", "size"), "size 'v…' is not offered"),
        (UnknownField("There is no field 'invalid format'", "x"), "There is no field 'i…'"),
        (ModelNotFound("Model 'veo' not found"), "Model 'veo' not found"),
        (ProviderNotFound("Provider 'model' not found"), "Provider 'model' not found"),
    ],
)
def test_only_the_misleading_word_is_cut(error: RushesError, sentence: str) -> None:
    assert unmistakable(error) == sentence


@given(name=texts)
def test_no_model_name_brings_a_misleading_word_in(name: str) -> None:
    sentence = unmistakable(ModelNotFound(f"Model '{name}' not found")).lower()
    assert not any(word in sentence for word in ("provider", "not supported", "disabled", "unavailable"))


@given(name=texts)
def test_no_job_id_brings_a_misleading_word_in(name: str) -> None:
    sentence = unmistakable(JobNotFound(f"Job '{name}' not found")).lower()
    assert not any(word in sentence for word in ("model", "provider"))
