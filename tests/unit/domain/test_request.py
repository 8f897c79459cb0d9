from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.request import InputMedia, Role, VideoRequest

MEDIA = st.builds(
    InputMedia,
    st.sampled_from(Role),
    st.text(),
    st.just("image/png"),
    st.integers(0),
    st.text(min_size=64, max_size=64),
)
REQUESTS = st.builds(
    VideoRequest,
    prompt=st.text(),
    seed=st.none() | st.integers(0),
    generate_audio=st.none() | st.booleans(),
    media=st.lists(MEDIA, max_size=3).map(tuple),
    additional_params=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3),
)


@given(REQUESTS)
def test_what_is_written_is_read_again(request: VideoRequest) -> None:
    assert VideoRequest.from_json(request.to_json()) == request


def test_a_request_of_a_newer_version_is_refused() -> None:
    content = {**json.loads(VideoRequest("a dog").to_json()), "version": 2}
    with pytest.raises(ValueError, match="newer"):
        VideoRequest.from_json(json.dumps(content))
