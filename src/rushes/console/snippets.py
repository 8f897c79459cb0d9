"""The code that does what a form does: for a shell, Python with two libraries, and JavaScript."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPENAI_OWN = ("model", "prompt", "seconds", "size")
"""What the method of OpenAI's library takes itself; the rest goes into `extra_body`."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to write it."""

    id: str
    label: str
    code: str


def snippets_of(body: Mapping[str, Any], base_url: str) -> Sequence[Snippet]:
    """The code for this body. A provider key of the caller's own is never written into it."""
    shown = {name: value for name, value in body.items() if name != "byok_api_key"}
    byok = "byok_api_key" in body
    return (
        Snippet("curl", "curl", _curl(shown, base_url, byok=byok)),
        Snippet("python", "Python", _python(shown, base_url, byok=byok)),
        Snippet("openai", "openai", _openai(shown, base_url, byok=byok)),
        Snippet("javascript", "JavaScript", _javascript(shown, base_url, byok=byok)),
    )


def _curl(body: Mapping[str, Any], base_url: str, *, byok: bool) -> str:
    text = json.dumps(body, indent=2, ensure_ascii=False)
    if byok:
        # The shell puts its variable between the quoted parts.
        text = text.removesuffix("\n}") + ',\n  "byok_api_key": "$BYOK_KEY"\n}'
        quoted = shlex.quote(text).replace("$BYOK_KEY", "'\"$BYOK_KEY\"'")
    else:
        quoted = shlex.quote(text)
    return (
        f"curl {shlex.quote(f'{base_url}/api/v1/videos/generations')} \\\n"
        '  -H "Authorization: Bearer $RUSHES_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {quoted}"
    )


def _python(body: Mapping[str, Any], base_url: str, *, byok: bool) -> str:
    arguments = [repr(body.get("prompt", ""))]
    arguments += [f"{name}={_literal(value)}" for name, value in body.items() if name != "prompt"]
    imports = "from rushes import Client\n"
    if byok:
        imports = "import os\n\n" + imports
        arguments.append('byok_api_key=os.environ["BYOK_KEY"]')
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return (
        f"{imports}\n"
        f"client = Client(base_url={base_url!r})  # the key is in RUSHES_API_KEY\n"
        f'job = client.generate(\n{lines})\njob.download("video.mp4")\n'
    )


def _openai(body: Mapping[str, Any], base_url: str, *, byok: bool) -> str:
    fields = {("seconds" if name == "duration" else name): value for name, value in body.items()}
    if "seconds" in fields:
        fields["seconds"] = str(fields["seconds"])
    own = [f"    {name}={_literal(value)},\n" for name, value in fields.items() if name in OPENAI_OWN]
    rest = {name: value for name, value in fields.items() if name not in OPENAI_OWN}
    extra = [f"        {name!r}: {_literal(value)},\n" for name, value in rest.items()]
    if byok:
        extra.append('        "byok_api_key": os.environ["BYOK_KEY"],\n')
    extra_body = f"    extra_body={{\n{''.join(extra)}    }},\n" if extra else ""
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url={base_url + "/v1"!r}, api_key=os.environ["RUSHES_API_KEY"])\n'
        f"video = client.videos.create_and_poll(\n{''.join(own)}{extra_body})\n"
        'client.videos.download_content(video.id).write_to_file("video.mp4")\n'
    )


def _javascript(body: Mapping[str, Any], base_url: str, *, byok: bool) -> str:
    text = json.dumps(body, indent=2, ensure_ascii=False)
    if byok:
        text = text.removesuffix("\n}") + ',\n  "byok_api_key": process.env.BYOK_KEY\n}'
    indented = text.replace("\n", "\n  ")
    return (
        "const headers = {\n"
        "  Authorization: `Bearer ${process.env.RUSHES_API_KEY}`,\n"
        '  "Content-Type": "application/json",\n'
        "};\n"
        f"const body = JSON.stringify(\n  {indented},\n);\n"
        f"const base = {json.dumps(base_url + '/api/v1/videos')};\n"
        'const started = await fetch(`${base}/generations`, { method: "POST", headers, body });\n'
        "if (!started.ok) throw new Error((await started.json()).detail);\n"
        "let job = await started.json();\n"
        'while (job.status !== "completed" && job.status !== "failed") {\n'
        "  await new Promise((resolve) => setTimeout(resolve, 2000));\n"
        "  job = await (await fetch(`${base}/jobs/${job.job_id}`, { headers })).json();\n"
        "}\n"
        "console.log(job.result?.url ?? job.error);\n"
    )


def _literal(value: object) -> str:
    """A value as Python writes it."""
    return repr(value)
