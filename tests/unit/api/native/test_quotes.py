"""What the document says of a quote."""

from __future__ import annotations

from fastapi import FastAPI

from rushes.api.native import generations, quotes


def test_a_quote_offers_the_body_of_a_generation_and_none_of_the_headers_that_it_does_not_heed() -> None:
    api = FastAPI()
    api.include_router(generations.router)
    api.include_router(quotes.router)
    paths = api.openapi()["paths"]
    started, quoted = (paths[path]["post"] for path in ("/videos/generations", "/videos/quote"))
    assert quoted["requestBody"] == started["requestBody"]
    headers = [{one["name"] for one in each.get("parameters", [])} for each in (started, quoted)]
    assert headers[0] - headers[1] == {"Prefer", "Idempotency-Key"}
