"""Every setting of the service, read once at the start; with client_settings.py the only reader of the environment.

From strongest to weakest: command-line options, `RUSHES_*` variables, `rushes.toml` in the working directory (or where
`RUSHES_CONFIG` says), defaults. A nested name is written with two underscores: `RUSHES_PROVIDERS__GOOGLE__BASE_URL`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rushes.errors import StartupError
from rushes.near_names import near_names
from rushes.stored_places import INPUT_FILES

NAMES_BESIDE_SETTINGS = frozenset({"CONFIG", "BASE_URL", "API_KEY"})
"""What else begins with `RUSHES_`: where the settings file is, and what the commands that are clients use."""

DEFAULT_KEY = "default"
"""The name of a credential that was not given one."""

ORIGIN = r"^https?://[^\s/?#@]+/?$"
"""A server's address, without a path and without keys in it."""

MONTH_S = 31 * 86_400
YEAR_S = 366 * 86_400


class KeySettings(BaseModel):
    """One credential of a provider's pool (docs/operating/providers.md), as `[[providers.NAME.keys]]` lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SecretStr
    name: str = Field(default=DEFAULT_KEY, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    """What usage, metrics and logs call it; jobs keep it, so it stays when the key itself is replaced."""
    weight: float = Field(default=1, ge=0, le=1_000_000, allow_inf_nan=False)
    """Its share of the jobs beside the other weights. 0: only while no other key can take a job."""
    models: tuple[str, ...] = Field(default=("*",), min_length=1)
    """Patterns of the ids of the models that it is for, with or without `PROVIDER/` before them."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    """How many submissions it takes in a minute, evenly spaced; None: no limit."""
    in_flight: int | None = Field(default=None, ge=1, le=1_000_000)
    """How many jobs it may have at the provider at one time; None: no limit."""
    enabled: bool = True
    """Whether it takes new jobs. Those that it has go on either way."""


class ProviderSettings(BaseModel):
    """How to reach one provider. What else may be set there, its adapter declares and checks."""

    model_config = ConfigDict(frozen=True, extra="allow")

    api_key: SecretStr | None = None
    keys: tuple[KeySettings, ...] | None = None
    """Several credentials in place of `api_key`."""
    kind: str | None = None
    """Which protocol a server of the operator's own speaks; such a server may have any name."""

    @property
    def options(self) -> dict[str, Any]:
        """What is set besides the keys and the kind, as it is written."""
        return dict(self.__pydantic_extra__ or {})


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


RetryWait = Annotated[float, Field(gt=0, le=7 * 86_400)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class NetAllow(BaseModel):
    """Private networks that may be reached, by what for. Empty: none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: Networks = ()
    webhooks: Networks = ()
    results: Networks = ()


def _checked_issuer(issuer: str) -> str:
    host = re.fullmatch(r"(https?)://(\[[0-9a-f:]+\]|[^\s/?#@:\[\]]+)(:[0-9]+)?(/[^\s?#]*)?", issuer)
    if host is None:
        raise ValueError("must be a URL such as https://login.example.com, without a query")
    if host[1] == "http" and host[2] not in ("localhost", "127.0.0.1", "[::1]"):
        raise ValueError("must be https; http is for an issuer on this machine only")
    return issuer


class OidcSettings(BaseModel):
    """The identity provider that people sign in with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, AfterValidator(_checked_issuer)]
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    cli_client_id: str | None = Field(None, min_length=1)
    """The public client of `rushes login`."""
    account_claim: str = Field("account", min_length=1)
    role_claim: str = Field("role", min_length=1)
    roles: dict[str, Literal["viewer", "member", "admin"]] = {}
    """What the provider's words mean here."""
    scope: str = Field("openid profile email", pattern=r"(^|.* )openid( .*|$)")
    name: str | None = Field(None, max_length=60)
    """What the button of the sign-in page says; else the issuer's host."""


LimitSetting = Annotated[int | None, Field(ge=1, le=1_000_000_000)]


class LimitSettings(BaseModel):
    """What every account may ask for that has no limit of its own; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: LimitSetting = None
    jobs_in_flight: LimitSetting = None
    queued_jobs: LimitSetting = None


def _checked_origin(origin: str) -> str:
    if origin != "*" and re.fullmatch(r"https?://[^\s/?#@*]+", origin) is None:
        raise ValueError(f"'{origin}' is neither an origin such as https://app.example.com nor *")
    return origin


Origin = Annotated[str, AfterValidator(_checked_origin)]


def _checked_host_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", name) is None:
        raise ValueError(f"'{name}' is not a host name such as rushes.example.net, without scheme and port")
    return name


HostName = Annotated[str, AfterValidator(_checked_host_name)]


class Settings(BaseSettings):
    """The service's settings; each has a default that suits one machine."""

    model_config = SettingsConfigDict(env_prefix="RUSHES_", env_nested_delimiter="__", frozen=True, extra="forbid")

    data_dir: Path = Field(Path("rushes-data"), description="Where the database, the videos and the secret key live.")
    database_url: SecretStr | None = Field(
        None,
        description="A Postgres database, such as postgresql://user:password@host/rushes; without it, SQLite in the"
        " data directory.",
    )
    database_connections: int = Field(
        10,
        ge=2,
        le=1000,
        description="How many connections to Postgres one process holds at most, besides three of its own.",
    )
    database_wait_s: float = Field(
        10, gt=0, le=600, description="How long a request waits for one of them before it is refused, in seconds."
    )
    database_statement_s: float = Field(
        30, ge=1, le=3600, description="How long Postgres may take for one statement, in seconds."
    )
    migrate_on_start: bool = Field(
        True,
        description="Whether a start brings the database's schema up to date; if not, it refuses an older one, and"
        " `rushes migrate` is for you to run.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="What links are made from, such as https://video.example.com; else the request's Host header.",
    )
    secret_keys: SecretStr | None = Field(
        None,
        description="Keys that sign links and encrypt secrets, separated by commas: the first is used, all are"
        " accepted. Without it a key is made and kept in the data directory; with Postgres it must be set.",
    )
    storage_url: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{0,500})?$",
        description="Where videos and inputs are kept, as `s3://bucket/folder`; else in the data directory"
        " (docs/operating/storage.md).",
    )
    storage_endpoint_url: str | None = Field(
        None, pattern=ORIGIN, description="An S3 server other than AWS's, such as https://minio.example.com:9000."
    )
    storage_public_endpoint_url: str | None = Field(
        None, pattern=ORIGIN, description="Where clients reach the same server, if not at that address."
    )
    storage_region: str | None = Field(
        None, pattern=r"^[a-z0-9-]{1,40}$", description="The bucket's region; else AWS's usual variables, or us-east-1."
    )
    storage_access_key_id: SecretStr | None = Field(
        None, description="The key for the bucket; else what AWS's own tools would use, a role included."
    )
    storage_secret_access_key: SecretStr | None = Field(None, description="Its secret half.")
    storage_path_style: bool | None = Field(
        None,
        description="Whether the bucket is named in the path instead of the host; without it, with an endpoint of"
        " your own only.",
    )
    storage_links: Literal["presigned", "proxy"] | None = Field(
        None,
        description="Whether links to videos redirect to presigned URLs of the bucket, or their bytes pass through"
        " rushes; without it, presigned on AWS and with a public endpoint.",
    )
    link_ttl_s: int = Field(
        3600, ge=1, le=MONTH_S, description="How long a link to a video works after it was made, in seconds."
    )
    retention_s: float | None = Field(
        None,
        gt=0,
        le=100 * YEAR_S,
        description="How long finished videos are kept, in seconds; without it, until they are deleted.",
    )
    audit_keep_s: float | None = Field(
        None,
        ge=86_400,
        le=100 * YEAR_S,
        description="How long entries of the audit log are kept, in seconds; without it, forever"
        " (docs/operating/audit.md).",
    )
    on_retired: Literal["successor", "refuse"] = Field(
        "successor", description="What happens to requests for a retired model: its successor serves them, or a 400."
    )
    model_aliases: dict[str, str] = Field(
        default={},
        description="Names that OpenAI's and Google's APIs take for models, each with the provider/ID that runs: a"
        " table in the file, JSON in the variable (docs/guides/openai.md).",
    )
    on_unpriced: Literal["refuse", "allow"] = Field(
        "refuse",
        description="What happens to requests for a model of unknown price where a spend limit holds: a 402, or they"
        " pass and count as nothing.",
    )
    hold_s: float = Field(0, ge=0, le=3600, description="How long jobs at paid providers stay cancellable, in seconds.")
    test_hold_s: float = Field(1, ge=0, le=3600, description="The same for animatic and for test keys.")
    poll_interval_s: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="Replaces every provider's poll interval, first-poll delay and back-off, in seconds; for tests.",
    )
    most_in_flight: int = Field(2000, ge=1, le=100_000, description="How many jobs one worker carries at once.")
    most_watchers: int = Field(
        1000, ge=1, le=100_000, description="How many event streams and waiting requests may be open at once."
    )
    most_watchers_per_account: int = Field(
        200, ge=1, le=100_000, description="How many of them one account may have open."
    )
    lease_s: float = Field(15, ge=1, le=3600, description="How long a silent worker keeps its jobs, in seconds.")
    drain_s: float = Field(
        8,
        ge=0,
        le=3600,
        description="How long a service that stops waits for providers that it has just called, in seconds;"
        " a second less than its process manager waits before it kills.",
    )
    lame_duck_s: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="How long a process that is to stop serves on while `/readyz` already answers 503, in seconds:"
        " longer than its proxy takes to notice. Without it, 3 for `serve --no-worker`, else 0.",
    )
    child_processes: int = Field(
        2, ge=1, le=64, description="How many processes draw animatics of one account; all have one more."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="The least that is logged.")
    log_format: str = Field("text", pattern="^(text|json)$", description="How log lines are written.")
    log_requests: bool = Field(True, description="Whether each request gets a log line.")
    metrics_token: SecretStr | None = Field(
        None,
        description="What `Authorization: Bearer` must hold to read `/metrics`; without it, it is open to everyone who"
        " reaches the port.",
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="A port of its own for `/metrics`, which then is answered there alone; it answers `/healthz` and"
        " `/readyz` too.",
    )
    metrics_host: str = Field("127.0.0.1", description="The address that this port is on.")
    trusted_proxies: Networks = Field(
        ("127.0.0.1", "::1"),
        description="Proxies (addresses or CIDR, separated by commas) whose `X-Forwarded-For` and `X-Forwarded-Proto`"
        " are believed.",
    )
    trusted_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Host names, separated by commas, under which `/mcp` may be called, besides that of the public URL,"
        " IP addresses and names that are private by their form (docs/guides/agents.md).",
    )
    keyless_requests_per_minute: int = Field(
        1200,
        ge=1,
        le=1_000_000_000,
        description="How many requests without a valid key one address may make in a minute.",
    )
    tracing: bool = Field(
        False,
        description="Whether each job is a trace, sent by OTLP over HTTP to where the standard OTEL_* variables say"
        " (docs/operating/monitoring.md).",
    )
    input_quota_bytes: int = Field(
        INPUT_FILES.share, ge=1, description="How much room one account's input files may take, in bytes."
    )
    input_grace_s: float = Field(
        3600, ge=0.1, description="How long an input file stays that no unfinished job needs, in seconds."
    )
    upload_keep_s: float = Field(86_400, ge=0.1, description="How long an upload can be referred to, in seconds.")
    webhook_retries_s: Annotated[tuple[RetryWait, ...], NoDecode, BeforeValidator(_split)] = Field(
        (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
        max_length=50,
        description="How long after each failed try of a webhook the next follows, in seconds; after the last it is"
        " given up.",
    )
    webhook_timeout_s: float = Field(
        15, ge=0.1, le=30, description="How long a webhook's receiver may take to answer, in seconds."
    )
    webhook_https_only: bool = Field(False, description="Whether webhooks are refused whose URL is not https.")
    guardrail_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$",
        description="Where each request is judged before it is accepted (docs/operating/guardrail.md).",
    )
    guardrail_preset: Literal["rushes", "openai"] = Field(
        "rushes", description="What is spoken there: our own protocol, or that of OpenAI's `/v1/moderations`."
    )
    guardrail_secrets: SecretStr | None = Field(
        None,
        description="What questions in our own protocol are signed with: `whsec_` and 24 to 64 bytes in base64; several"
        " separated by commas all sign.",
    )
    guardrail_api_key: SecretStr | None = Field(None, description="The key for a moderation endpoint.")
    guardrail_model: str = Field(
        "omni-moderation-latest", min_length=1, max_length=200, description="The model that moderates there."
    )
    guardrail_timeout_s: float = Field(
        5, ge=0.1, le=60, description="How long the guardrail may take to answer, in seconds."
    )
    guardrail_on_error: Literal["block", "allow"] | None = Field(
        None,
        description="What happens to requests that the guardrail has not judged; there is no default, so it is to be"
        " set with the URL.",
    )
    guardrail_keep_prompts: bool = Field(False, description="Whether the record of a blocked request has its prompt.")
    guardrail_records_s: float = Field(
        30 * 86_400, gt=0, le=100 * YEAR_S, description="How long these records are kept, in seconds."
    )
    console: bool = Field(True, description="Whether the console is served at `/console`.")
    console_session_s: int = Field(
        43_200, ge=60, le=2_592_000, description="How long a session of the console lasts, in seconds."
    )
    oidc: OidcSettings | None = Field(
        None,
        description="How people sign in by OpenID Connect: issuer, client and claims (docs/operating/sign-in.md).",
    )
    limits: LimitSettings = Field(
        LimitSettings(),
        description="What an account may ask for that has no limit of its own: requests a minute, jobs at a provider at"
        " one time, pending jobs at one time.",
    )
    bootstrap_key: SecretStr | None = Field(
        None,
        description="An API key of your own making, 32 to 256 characters, that may do everything: made at start for the"
        " account `default` if it is new.",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Which websites' pages may call this API from a browser: origins separated by commas, or `*`.",
    )
    net_allow: NetAllow = Field(
        NetAllow(),
        description="Networks (CIDR, separated by commas) that may be reached besides the public internet, for each of"
        " inputs, webhooks and results.",
    )
    catalogue_dir: Path | None = Field(
        None,
        description="A folder with a catalogue of your own: files such as google.toml that add models or replace fields"
        " of ours (docs/operating/models.md).",
    )
    providers: dict[str, ProviderSettings] = Field(
        default={},
        description="Per provider: base_url, and api_key or a list of keys (docs/operating/providers.md); your own"
        " servers too.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())

    def provider(self, name: str) -> ProviderSettings:
        """What is set for a provider, or for a server of the operator's own."""
        return self.providers.get(name, ProviderSettings())

    def provider_keys(self, name: str) -> tuple[KeySettings, ...]:
        """The operator's keys for a provider, from our own settings. Raises StartupError for two ways at once."""
        # No variable's name can hold a hyphen, so `my-gpu` is `MY_GPU` there.
        spellings = [self.provider(spelling) for spelling in dict.fromkeys((name.replace("-", "_"), name))]
        api_key = next((one.api_key for one in spellings if one.api_key is not None), None)
        keys = next((one.keys for one in spellings if one.keys is not None), None)
        if keys is None:
            return () if api_key is None else (KeySettings(key=api_key),)
        if api_key is not None:
            raise StartupError(
                f"[providers.{name}]: api_key and keys are both set; list that key under keys too, "
                f'with name = "{DEFAULT_KEY}"'
            )
        if not keys:
            raise StartupError(f"[providers.{name}]: keys is an empty list; list a key, or leave keys out")
        return keys

    def has_list_of_keys(self, name: str) -> bool:
        """Whether a provider's keys stand in a list."""
        return any(self.provider(spelling).keys is not None for spelling in (name.replace("-", "_"), name))


def key_variable(provider: str) -> str:
    """The variable that holds the operator's key for a provider."""
    return f"RUSHES_PROVIDERS__{provider.upper().replace('-', '_')}__API_KEY"


def keys_field(provider: str, name: str) -> str:
    """What messages call one credential of a provider's list."""
    return f"[[providers.{provider}.keys]] '{name}': key"


def usual_variables(names: Iterable[str]) -> dict[str, str]:
    """Those of these environment variables that are set and not empty: where people already keep a provider's key."""
    environment = _environment()
    return {name: environment[name] for name in names if environment.get(name)}


class _FileSettings(Settings):
    """Settings of one file, read by `load_settings_file`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what is handed over."""
        return (init_settings,)


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; `overrides` that are None are not given. Raises StartupError naming each wrong one."""
    given = {name: value for name, value in overrides.items() if value is not None}
    if "RUSHES_CONFIG" in _environment() and not _config_file().is_file():
        raise StartupError(f"RUSHES_CONFIG names '{_config_file()}', which is not a file")
    _check_owner_of_config()
    try:
        return Settings(**given)
    except ValidationError as exc:
        raise StartupError(f"these settings cannot be used: {_wrong_settings(exc)}") from exc
    except SettingsError as exc:
        # Its text names the setting and where it stands, and shows no value.
        raise StartupError(f"the settings cannot be read: {exc}") from exc
    except (OSError, ValueError) as exc:
        raise StartupError(f"'{_config_file()}' cannot be read: {exc}") from exc


def load_settings_file(path: Path, **defaults: Any) -> Settings:
    """The settings that a file makes alone: neither variables nor another file add to them, only `defaults` do.

    Raises StartupError naming each wrong one.
    """
    if not path.is_file():
        raise StartupError(f"'{path}' is not a file; it holds settings as rushes.toml does")
    try:
        return _FileSettings(**{**defaults, **tomllib.loads(path.read_text("utf-8"))})
    except ValidationError as exc:
        raise StartupError(f"the settings in '{path}' cannot be used: {_wrong_settings(exc)}") from exc
    except (OSError, ValueError) as exc:
        raise StartupError(f"'{path}' cannot be read: {exc}") from exc


def complaints() -> list[str]:
    """One sentence for each `RUSHES_*` variable that no setting reads: a misspelt one must not pass in silence.

    Not an error, for a variable may be meant for another release that shares the environment.
    """
    known = [name.upper() for name in Settings.model_fields] + sorted(NAMES_BESIDE_SETTINGS)
    found = []
    for variable in _environment():
        name = variable.removeprefix("RUSHES_")
        if name == variable or name.partition("__")[0] in known:
            continue
        near = near_names(name, known, most=1)
        hint = f"did you mean RUSHES_{near[0]}?" if near else "rushes.example.toml lists all settings"
        found.append(f"there is no setting {variable}, so it has no effect; {hint}")
    return found


def _wrong_settings(error: ValidationError) -> str:
    return "; ".join(
        f"{_names_of(wrong['loc'])}: {wrong['msg']}"
        for wrong in error.errors(include_input=False, include_url=False, include_context=False)
    )


def _names_of(path: tuple[int | str, ...]) -> str:
    names = [str(part) for part in path]
    return f"{'.'.join(names)} (RUSHES_{'__'.join(names).upper()})"


def config_folder() -> Path:
    """The folder of the configuration file, in which relative paths in it begin."""
    return _config_file().parent


def _config_file() -> Path:
    return Path(_environment().get("RUSHES_CONFIG", "rushes.toml"))


def _check_owner_of_config() -> None:
    """Raise StartupError for a rushes.toml of the working directory that another user could have put there.

    A file that RUSHES_CONFIG names is the choice of the operator, also if another user owns it.
    """
    if "RUSHES_CONFIG" in _environment():
        return
    try:
        found = _config_file().stat()
    except OSError:
        return
    remedy = "name the file in RUSHES_CONFIG if it is yours, or start rushes in another directory"
    if found.st_uid not in (0, os.geteuid()):
        raise StartupError(f"'{_config_file()}' belongs to another user, so it is not read; {remedy}")
    if found.st_mode & stat.S_IWOTH:
        raise StartupError(f"'{_config_file()}' can be changed by every user, so it is not read; {remedy}")


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - the one place that reads it
