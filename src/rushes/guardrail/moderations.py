"""OpenAI's `/v1/moderations` as a guardrail: what it flags is blocked, with the categories as the reason.

Source: platform.openai.com/docs/api-reference/moderations: `input` is a text, and `results[0]` has `flagged` and
`categories`. Only the prompt is sent: a negative prompt names unwanted things.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rushes.errors import GuardrailFailed
from rushes.guardrail.calls import post_json
from rushes.jobs.guardrail.gate import Action, Answer, Question, reason_of
from rushes.json_text import json_bytes
from rushes.net.client import HttpClient


class Moderations:
    """Asks a moderation endpoint; any server that speaks this protocol will do."""

    def __init__(self, client: HttpClient, url: str, api_key: str | None, *, model: str, timeout_s: float) -> None:
        self._client = client
        self._url = url
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._model = model
        self._timeout_s = timeout_s

    async def ask(self, question: Question) -> Answer:
        """Block what is flagged. Raises GuardrailFailed."""
        body = json_bytes({"model": self._model, "input": question.prompt})
        return answer_of(await post_json(self._client, self._url, body, self._headers, timeout_s=self._timeout_s))


def answer_of(content: Mapping[str, Any]) -> Answer:
    """The answer in this JSON. Raises GuardrailFailed if it does not say whether the text is flagged."""
    results = content.get("results")
    first = results[0] if isinstance(results, list) and results else None
    flagged = first.get("flagged") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(flagged, bool):
        raise GuardrailFailed("its answer does not say whether the text is flagged")
    if not flagged:
        return Answer(Action.ALLOW)
    categories = first.get("categories")
    named = [name for name, found in categories.items() if found is True] if isinstance(categories, dict) else []
    return Answer(Action.BLOCK, reason_of(", ".join(map(str, named))) or "flagged")
