"""From a database's URL to its engine: the one place that knows which engines there are."""

from crossfade.errors import ConfigurationError
from crossfade.model.store_description import without_secrets
from crossfade.store.sql_dialect import SqlDialect
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sqlite_dialect import sqlite_dialect

_SCHEMES = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mariadb": "mariadb",
    "mysql": "mariadb",
}
"""Scheme of a URL to its engine; a driver may be named behind a plus sign."""


def dialect_of(url: str, options: SqlOptions) -> SqlDialect:
    """The engine of a URL; opens nothing.

    Raises:
        ConfigurationError: the URL names no engine that this release knows, or its driver is not
            installed; names the cure.

    """
    scheme = url.partition("://")[0].partition("+")[0] if "://" in url else "sqlite"
    engine = _SCHEMES.get(scheme)
    if engine == "sqlite":
        return sqlite_dialect(url, options)
    if engine is None:
        known = ", ".join(f"{one}://" for one in ("sqlite", "postgresql", "mariadb", "mysql"))
        raise ConfigurationError(
            f"{without_secrets(url)!r} is of no engine that this release knows. Use {known}."
        )
    try:
        # Drivers are extras: each is loaded only by a definition that names its engine.
        if engine == "postgres":
            from crossfade.store.postgres_dialect import postgres_dialect  # noqa: PLC0415 - the driver is an extra

            return postgres_dialect(url, options)
        from crossfade.store.mariadb_dialect import mariadb_dialect  # noqa: PLC0415 - the driver is an extra

        return mariadb_dialect(url, options)
    except ImportError as error:
        raise ConfigurationError(
            f"{without_secrets(url)!r} needs a driver that is not installed. "
            f"Run pip install 'crossfade[{engine}]'."
        ) from error
