"""The code that the playground shows is code, whatever the prompt says."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest

from rushes.console.snippets import snippets_of

PROMPTS = ["plain", 'it\'s "quoted" $HOME `id` \\ back', "two\nlines", "'; rm -rf /; echo '", "</script>", "ünïcode 🐕"]
BASE = "https://video.example.com"


def code_of(body: dict[str, Any]) -> dict[str, str]:
    return {snippet.id: snippet.code for snippet in snippets_of(body, BASE)}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_shell_sends_exactly_this_body(prompt: str) -> None:
    body = {"prompt": prompt, "model": "google/veo-3.1", "seed": 0, "generate_audio": False}
    words = shlex.split(code_of(body)["curl"])
    assert words[:2] == ["curl", f"{BASE}/api/v1/videos/generations"]
    assert json.loads(words[words.index("-d") + 1]) == body


@pytest.mark.parametrize("prompt", PROMPTS)
def test_python_is_given_exactly_these_arguments(prompt: str) -> None:
    body = {"prompt": prompt, "model": "m", "duration": 8, "additional_params": {"a": [1, None]}, "seed": 0}
    calls = [node for node in ast.walk(ast.parse(code_of(body)["python"])) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "generate"]
    given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert {"prompt": ast.literal_eval(call.args[0]), **given} == body


def test_openai_gets_its_own_names_and_the_rest_as_extra_body() -> None:
    code = code_of({"prompt": "x", "model": "m", "duration": 8, "seed": 0})["openai"]
    ast.parse(code)
    assert "seconds='8'" in code
    assert "'seed': 0" in code


@pytest.mark.parametrize("prompt", PROMPTS)
def test_javascript_holds_the_body_as_json(prompt: str) -> None:
    body = {"prompt": prompt, "model": "m"}
    code = code_of(body)["javascript"]
    start = code.index("stringify(") + len("stringify(")
    assert json.loads(code[start : code.index(",\n);", start)]) == body


def test_a_provider_key_is_never_shown() -> None:
    for code in code_of({"prompt": "x", "byok_api_key": "sk-secret"}).values():
        assert "sk-secret" not in code
        assert "BYOK_KEY" in code


def test_the_shell_fills_the_provider_key_in_from_its_variable() -> None:
    code = code_of({"prompt": "x", "byok_api_key": "sk-secret"})["curl"]
    words = shlex.split(code.replace('"$BYOK_KEY"', "filled-in"))
    assert json.loads(words[words.index("-d") + 1]) == {"prompt": "x", "byok_api_key": "filled-in"}
