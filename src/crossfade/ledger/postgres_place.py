"""Where a ledger on PostgreSQL is: the URL that the settings name, taken apart."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from crossfade.errors import ConfigurationError

_NOT_ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")
SCHEMES = ("postgresql", "postgres")
_SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database, and the schema in it that holds the ledger's tables."""

    url: str
    """What libpq connects to; may hold a password, so it is shown to nobody."""
    schema: str | None
    """None: the first schema of the connection's search path."""

    @property
    def shown(self) -> str:
        """The place without what may be secret."""
        parts = urlsplit(self.url)
        host = parts.hostname or "localhost"
        port = f":{parts.port}" if parts.port else ""
        schema = "" if self.schema is None else f"?schema={quote(self.schema)}"
        return f"postgresql://{host}{port}{parts.path}{schema}"


def is_postgres_url(url: str) -> bool:
    """Whether a ledger's URL names a PostgreSQL database."""
    return url.partition("://")[0] in SCHEMES


def place_of(url: str) -> PostgresPlace:
    """Take a ledger's URL apart; `schema=` is ours, all else is libpq's.

    Raises:
        ConfigurationError: it names no database, or `schema=` names nothing.

    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or "@" in parts.path or _NOT_ENCODED.search(url):
        # Said by us and without a cause: the driver's words, and Python's, quote the password.
        raise ConfigurationError(
            "the ledger's URL cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
            "with %2F, %3F, %23, %40 and %25 for the signs / ? # @ and % of a password."
        )
    options = parse_qsl(parts.query, keep_blank_values=True)
    schemas = [value for name, value in options if name == _SCHEMA]
    if not parts.path.strip("/"):
        raise ConfigurationError(
            "the ledger's URL names no database. Write postgresql://USER@HOST:PORT/DATABASE."
        )
    if len(schemas) > 1 or "" in schemas or any("\0" in schema for schema in schemas):
        raise ConfigurationError(
            "the ledger's URL names no schema. Write ?schema=NAME, or nothing."
        )
    rest = urlencode([(name, value) for name, value in options if name != _SCHEMA])
    plain = urlunsplit(("postgresql", parts.netloc, parts.path, rest, ""))
    return PostgresPlace(plain, schemas[0] if schemas else None)
