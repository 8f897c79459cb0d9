"""The operator's own guardrail: a question signed as our webhooks are, and an answer of an action (docs: Guardrail)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rushes.catalogue.wording import shown
from rushes.clock import Clock
from rushes.errors import GuardrailFailed
from rushes.guardrail.calls import post_json
from rushes.ids import new_id
from rushes.jobs.guardrail.gate import Action, Answer, Question, question_json, reason_of
from rushes.json_text import json_bytes
from rushes.net.client import HttpClient
from rushes.webhooks.signing import signed_headers


class OwnGuardrail:
    """Asks one address; `signing_secrets` are `whsec_` texts, each of which signs."""

    def __init__(
        self, client: HttpClient, clock: Clock, url: str, signing_secrets: Sequence[str], *, timeout_s: float
    ) -> None:
        self._client = client
        self._clock = clock
        self._url = url
        self._secrets = tuple(signing_secrets)
        self._timeout_s = timeout_s

    async def ask(self, question: Question) -> Answer:
        """Its answer. Raises GuardrailFailed."""
        body = json_bytes(question_json(question))
        headers = signed_headers(new_id("ask"), self._clock.now_ms() // 1000, body, self._secrets)
        return answer_of(await post_json(self._client, self._url, body, headers, timeout_s=self._timeout_s))


def answer_of(content: Mapping[str, Any]) -> Answer:
    """The answer in this JSON. Raises GuardrailFailed for an action that we do not know."""
    action = content.get("action")
    if not isinstance(action, str) or action not in list(Action):
        offered = ", ".join(Action)
        raise GuardrailFailed(f"its action {shown(action)} is not one of {offered}" if action else "it has no action")
    prompt = content.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise GuardrailFailed("its prompt is not a text")
    return Answer(Action(action), reason_of(content.get("reason")), prompt if action == Action.REWRITE else None)
