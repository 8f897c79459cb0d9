"""`rushes generate`: a prompt in, a video file out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rushes.cli.connection import connected, service_settings
from rushes.cli.exits import Exit
from rushes.cli.options import ApiKey, AsJson, BaseUrl
from rushes.cli.saving import Destination
from rushes.cli.watching import Watch

if TYPE_CHECKING:
    from rushes.client import AsyncClient, AsyncJob, GenerationOptions, Medium

MEDIUM = "FILE|URL"
MEDIA_PANEL = "Media"
ENDING_PANEL = "Saving and waiting"


def generate(
    prompt: Annotated[str, typer.Argument(help="What the video shows; `-` reads it from standard input.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="ID", help="A model, as `rushes models` lists them.")
    ] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Which provider's model of that id.")] = None,
    aspect_ratio: Annotated[str | None, typer.Option(metavar="W:H", help="Such as 16:9 or 9:16.")] = None,
    resolution: Annotated[str | None, typer.Option(metavar="NAME", help="Such as 720p or 1080p.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Ratio and resolution in one: 1280x720.")] = None,
    duration: Annotated[int | None, typer.Option("--duration", "-d", metavar="SECONDS", help="How long it is.")] = None,
    n: Annotated[int | None, typer.Option("--n", "-n", metavar="1-10", help="How many videos; else one.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Repeats a result where the model can.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What to avoid.")] = None,
    audio: Annotated[bool | None, typer.Option("--audio/--no-audio", help="With or without a sound track.")] = None,
    person_generation: Annotated[
        str | None, typer.Option(metavar="WHICH", help="Which people may be shown, where the model asks.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="The image to begin with.")
    ] = None,
    last_frame: Annotated[
        str | None, typer.Option(metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="The image to end with.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="An image of what should appear; may be repeated."
        ),
    ] = None,
    reference_video: Annotated[
        list[str] | None,
        typer.Option(metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="A video for style or motion; may be repeated."),
    ] = None,
    reference_audio: Annotated[
        list[str] | None,
        typer.Option(metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="A voice or music; may be repeated."),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(metavar=MEDIUM, rich_help_panel=MEDIA_PANEL, help="A video to extend, edit or upscale."),
    ] = None,
    previous_job: Annotated[
        str | None,
        typer.Option(metavar="ID", rich_help_panel=MEDIA_PANEL, help="A finished job: its video is taken instead."),
    ] = None,
    previous_index: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", rich_help_panel=MEDIA_PANEL, help="Which of its videos; else 0, the first."),
    ] = None,
    video_task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", rich_help_panel=MEDIA_PANEL, help="What is done to the video: extend, edit or upscale."
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="TAG", help="Your own tag for the job.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="A pair kept with the job; may be repeated.")
    ] = None,
    fallback_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="A model that takes the job if the first one accepts no jobs now; repeatable, in order."
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JSON", help="An option of the provider's own; may be repeated."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            rich_help_panel=ENDING_PANEL,
            metavar="PATH",
            help="A file, a folder, or - for standard output; else a new file here, named after the prompt.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", rich_help_panel=ENDING_PANEL, help="Replace files that exist.")
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            "--no-wait",
            rich_help_panel=ENDING_PANEL,
            help="Print the job's id at once; do not wait for the video.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, rich_help_panel=ENDING_PANEL, help="Wait at most this long; the job continues."
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=ENDING_PANEL,
            help="A repetition with the same text within a day watches the same job, and creates no other.",
        ),
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Make a video and save it. Standard output gets its path alone, or the video itself with --output -."""
    settings = service_settings(base_url, api_key)
    given = {
        "model": model,
        "provider": provider,
        "aspect_ratio": aspect_ratio,
        "resolution": resolution,
        "size": size,
        "duration": duration,
        "n": n,
        "seed": seed,
        "negative_prompt": negative_prompt,
        "generate_audio": audio,
        "person_generation": person_generation,
        "previous_job_id": previous_job,
        "previous_index": previous_index,
        "video_task": video_task,
        "user": user,
        "metadata": _pairs(metadata or []) or None,
        "fallback_models": fallback_model or None,
        "additional_params": _parameters(param or []) or None,
    }
    options: Any = {name: value for name, value in given.items() if value is not None}
    media = {"--image": image, "--last-frame": last_frame, "--video": video}
    named = {option: [one] for option, one in media.items() if one is not None}
    several = {
        "--reference": reference,
        "--reference-video": reference_video,
        "--reference-audio": reference_audio,
    }
    named |= {option: names for option, names in several.items() if names}
    _check_files(named)
    destination = Destination(output, replace=force)
    if destination.is_standard_output and as_json and not detach:
        raise typer.BadParameter("standard output takes either the video or --json")
    if not detach:
        destination.check(1 if n is None else n)
    text = _read_prompt() if prompt == "-" else prompt

    async def start(client: AsyncClient) -> AsyncJob:
        try:
            return await client.submit(text, idempotency_key=idempotency_key, **options, **_media(named))
        except OSError as exc:
            raise typer.BadParameter(f"'{exc.filename}' cannot be read: {exc.strerror}") from exc

    try:
        started = connected(settings, start)
    except KeyboardInterrupt:
        from rushes.cli.screen import note

        note("Interrupted while the job was being created; `rushes jobs list` shows whether it was.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    _announce(started, detached=detach)
    if detach:
        _print_started(started, as_json=as_json)
        return
    watch = Watch(
        settings,
        started.id,
        status=started.status,
        destination=destination,
        timeout_s=timeout,
        shown_warnings=started.warnings,
    )
    watch.to_the_end(as_json=as_json, offers_cancel=True)


def _read_prompt() -> str:
    """The prompt on standard input, which is UTF-8 whatever the locale says."""
    try:
        return sys.stdin.buffer.read().decode("utf-8").strip()
    except UnicodeDecodeError as exc:
        raise typer.BadParameter("standard input is not UTF-8 text", param_hint="PROMPT") from exc


def _announce(started: AsyncJob, *, detached: bool) -> None:
    from rushes.cli.screen import note
    from rushes.cli.wording import money

    served = "" if started.served_model == started.model else f", served by {started.served_model}"
    note(f"{started.id}: {started.provider}/{started.model}{served}, {money(started.cost_usd)}", "dim")
    for warning in started.warnings:
        note(f"warning: {warning}", "yellow")
    if detached:
        note(f"watch it with: rushes jobs watch {started.id}", "dim")


def _print_started(started: AsyncJob, *, as_json: bool) -> None:
    from rushes.cli.screen import print_json

    if as_json:
        print_json(started.content)
    else:
        print(started.id)


def _media(named: dict[str, list[str]]) -> GenerationOptions:
    sent: dict[str, list[Medium]] = {
        option: [name if _is_url(name) else Path(name) for name in names] for option, names in named.items()
    }
    options: GenerationOptions = {}
    if "--image" in sent:
        options["input_image"] = sent["--image"][0]
    if "--last-frame" in sent:
        options["last_frame"] = sent["--last-frame"][0]
    if "--video" in sent:
        options["video"] = sent["--video"][0]
    if "--reference-video" in sent:
        options["reference_videos"] = sent["--reference-video"]
    if "--reference-audio" in sent:
        options["reference_audios"] = sent["--reference-audio"]
    match sent.get("--reference", []):
        case [one]:
            options["reference_image"] = one
        case [_, *_] as several:
            options["reference_images"] = several
    return options


def _is_url(named: str) -> bool:
    return named.lower().startswith(("http://", "https://", "data:"))


def _check_files(named: dict[str, list[str]]) -> None:
    for option, names in named.items():
        for name in names:
            if not _is_url(name) and not Path(name).is_file():
                raise typer.BadParameter(f"there is no file '{name[:200]}'", param_hint=option)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{one}' is not of the form NAME=TEXT", param_hint="--metadata")
        if name in pairs:
            raise typer.BadParameter(f"'{name}' is given twice", param_hint="--metadata")
        pairs[name] = text
    return pairs


def _parameters(given: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{one}' is not of the form NAME=JSON", param_hint="--param")
        if name in parameters:
            raise typer.BadParameter(f"'{name}' is given twice", param_hint="--param")
        try:
            parameters[name] = json.loads(text)
        except ValueError as exc:
            # A bare word is a text; a broken list, object or string is a mistake.
            if text[:1] in ("[", "{", '"'):
                raise typer.BadParameter(f"'{name}' is not correct JSON: {exc}", param_hint="--param") from exc
            parameters[name] = text
    return parameters
