"""Settings that are no part of the migration: `crossfade.toml`, then environment, then flags."""

import difflib
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource

from crossfade.backfill.options import BackfillOptions
from crossfade.convergence.options import ConvergenceOptions
from crossfade.errors import ConfigurationError
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.options import ExecutionOptions
from crossfade.gateway.options import GatewayOptions
from crossfade.ledger.from_url import is_shared, shown_url
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.model.evidence import GateOptions
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.references import resolve_reference
from crossfade.stages.options import StageOptions
from crossfade.verification.options import VerificationOptions

FILE_NAME = "crossfade.toml"
ENVIRONMENT_PREFIX = "CROSSFADE_"
ENVIRONMENT_DELIMITER = "__"
ENVIRONMENT_OF_OTHERS = frozenset({"CROSSFADE_FAILPOINTS"})
"""Variables with our prefix that are no settings."""

LEDGER_DEFAULT = "sqlite:///.crossfade/ledger.db"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SQLITE = "sqlite:///"

WORKING = frozenset(
    {"backfill", "comparison", "convergence", "reconciler", "shared_ledger", "stages",
     "verification"}
)  # fmt: skip
"""Sections of workers: with a size or a pause of zero they would stand still or never rest."""
MAY_BE_ZERO = frozenset(
    {"body_bytes_max", "confirm_pause_seconds", "forget_rows_min", "prepare_seconds_max",
     "processes", "queue_max", "sample_fraction", "samples_max"}
)  # fmt: skip
"""Their settings for which zero means: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings(GatewayOptions):
    """Section `[gateway]`: where callers come in, and the gateway's limits."""

    host: str = "127.0.0.1"
    """Address to listen on; callers of other machines need another than the default."""
    port: int = 8400
    """0 takes any free port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """Section `[control]`: where the command line talks to a running node; loopback only."""

    host: str = "127.0.0.1"
    port: int = 8410
    """0 takes any free port."""
    token_file: str = "token"  # noqa: S105 - the name of a file
    """File that a running node keeps its token in; a relative path is beside the ledger."""


class Config(BaseSettings):
    """Every setting of one node; `load_config` makes it."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=ENVIRONMENT_DELIMITER,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    ledger: str = LEDGER_DEFAULT
    """URL of the ledger: `sqlite:///FILE`, where a relative path counts from the folder of
    `migration.py`; or `postgresql://USER@HOST/DATABASE?schema=NAME`, for several processes."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    control: ControlSettings = Field(default_factory=ControlSettings)
    backfill: BackfillOptions = Field(default_factory=BackfillOptions)
    comparison: ComparisonOptions = Field(default_factory=ComparisonOptions)
    convergence: ConvergenceOptions = Field(default_factory=ConvergenceOptions)
    execution: ExecutionOptions = Field(default_factory=ExecutionOptions)
    gates: GateOptions = Field(default_factory=GateOptions)
    reconciler: ReconcilerOptions = Field(default_factory=ReconcilerOptions)
    shared_ledger: PostgresLedgerOptions = Field(default_factory=PostgresLedgerOptions)
    stages: StageOptions = Field(default_factory=StageOptions)
    verification: VerificationOptions = Field(default_factory=VerificationOptions)

    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def ledger_file(self) -> Path:
        """The file of a SQLite ledger; whatever else belongs to a node is beside it.

        Where the ledger is a database it is a name in the folder that a file would be in.
        """
        if is_shared(self.ledger):
            return self._folder / Path(LEDGER_DEFAULT.removeprefix(SQLITE)).parent / "ledger"
        return Path(self.ledger.removeprefix(SQLITE))

    @property
    def ledger_shown(self) -> str:
        """Where the ledger is, for people: without what may be secret."""
        return shown_url(self.ledger)


def load_config(folder: Path, flags: Mapping[str, Any] | None = None) -> Config:
    """The settings for the migration in a folder, the ledger's path made absolute.

    Args:
        folder: where `migration.py` is, and `crossfade.toml` if there is one.
        flags: settings from the command line, such as `{"gateway": {"port": 0}}`; they win.

    Raises:
        ConfigurationError: an unknown key, a value that does not fit, or no TOML.

    """
    file = folder / FILE_NAME
    values = _read(file)
    _check_names(values, str(file))
    _check_environment()

    class Located(Config):
        """The settings with one file as their lowest layer."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - we read no such file
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - we refer to files
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Flags before environment before file."""
            return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    try:
        config = Located(**dict(flags or {}))
    except ValidationError as error:
        raise ConfigurationError(_explained(error, file)) from error
    return _checked(config, folder)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}. Mend it, or run `crossfade init` in an empty "
            "folder to see a good one."
        ) from error


def _known_names() -> dict[str, frozenset[str]]:
    """Section -> its keys; a plain setting has none."""
    names = {}
    for name, setting in Config.model_fields.items():
        section = setting.annotation
        options = is_dataclass(section) and isinstance(section, type)
        names[name] = frozenset(one.name for one in fields(section)) if options else frozenset()  # type: ignore[arg-type]
    return names


def _check_names(values: Mapping[str, Any], place: str) -> None:
    known = _known_names()
    for name, value in values.items():
        _check_name(name, known, place)
        if isinstance(value, dict):
            for key in value:
                _check_name(key, known[name], f"[{name}] of {place}")


def _check_environment() -> None:
    """Our prefix is ours: a variable that sets nothing is a mistake in writing."""
    known = dict(_variables())
    for name in sorted(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in ENVIRONMENT_OF_OTHERS:
            _check_name(name, known, "the environment")


def _variables() -> Iterator[tuple[str, str]]:
    for name, keys in _known_names().items():
        yield f"{ENVIRONMENT_PREFIX}{name.upper()}", name
        for key in keys:
            variable = f"{ENVIRONMENT_PREFIX}{name}{ENVIRONMENT_DELIMITER}{key}"
            yield variable.upper(), key


def _check_name(name: str, known: Mapping[str, object] | frozenset[str], place: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, list(known), n=1)
    cure = f'Did you mean "{close[0]}"?' if close else f"Known are: {', '.join(sorted(known))}."
    raise ConfigurationError(f'unknown setting "{name}" in {place}. {cure}')


def _explained(error: ValidationError, file: Path) -> str:
    """The first thing that does not fit, without its value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    setting = ".".join(str(part) for part in first["loc"])
    variable = f"{ENVIRONMENT_PREFIX}{setting.replace('.', ENVIRONMENT_DELIMITER)}".upper()
    return (
        f'the setting "{setting}" does not fit: {first["msg"]}. '
        f"Mend it in {file}, in {variable} or on the command line, wherever you set it."
    )


def _check_numbers(config: Config) -> None:
    """No size, time or share is negative; zero only where it means something."""
    for section in Config.model_fields:
        options = getattr(config, section)
        for one in fields(options) if is_dataclass(options) else ():
            value = getattr(options, one.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            needs_more = section in WORKING and one.name not in MAY_BE_ZERO
            if not math.isfinite(value) or value < 0 or (needs_more and value == 0):
                bound = "above 0" if needs_more else "of at least 0"
                raise ConfigurationError(
                    f"{section}.{one.name} is {value:g}. Give a number {bound}, or leave it out."
                )


def _checked(config: Config, folder: Path) -> Config:
    host = config.control.host
    if host not in LOOPBACK:
        raise ConfigurationError(
            f"control.host is {host}: the control API listens on loopback only in this version. "
            "Use 127.0.0.1, and a tunnel (ssh -L) to reach it from elsewhere."
        )
    _check_numbers(config)
    for name, port in (("gateway", config.gateway.port), ("control", config.control.port)):
        if not 0 <= port <= 65535:  # noqa: PLR2004 - what TCP has
            raise ConfigurationError(f"{name}.port is {port}. Use a number from 0 to 65535.")
    ledger = resolve_reference(config.ledger, os.environ)
    if is_shared(ledger):
        # Raises where it names no database; connects nowhere.
        shown_url(ledger)
        located = config.model_copy(update={"ledger": ledger})
        located._folder = folder.absolute()  # noqa: SLF001 - our own model, made here
        return located
    scheme, separator, _ = ledger.partition("://")
    if not ledger.startswith(SQLITE) or ledger == SQLITE:
        shown = f"{scheme}://" if separator else "no URL"
        raise ConfigurationError(
            f"the ledger's address is {shown}, which this version does not know. "
            f"Write {LEDGER_DEFAULT}, or postgresql://USER@HOST/DATABASE."
        )
    path = (folder / ledger.removeprefix(SQLITE)).absolute()
    return config.model_copy(update={"ledger": f"{SQLITE}{path}"})
