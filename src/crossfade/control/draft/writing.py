"""The text of a first migration.py and crossfade.toml; pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crossfade.control.draft.pairing import EntityDraft, Table

EXAMPLE = EntityDraft(
    "customer",
    Table("Customer", ("CustomerId", "Name"), ("CustomerId",)),
    Table("customers", ("id", "name"), ("id",)),
    (("CustomerId", "id"), ("Name", "name")),
)
"""What is written where nothing could be found out: replace it."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where both services and both databases are, as they are written into the file."""

    legacy: str
    new: str
    legacy_database: str
    new_database: str


def migration_text(name: str, places: Places, entities: Sequence[EntityDraft]) -> str:
    """The definition, with a comment on each thing that somebody has to look at."""
    drafts = list(entities) or [EXAMPLE]
    variable = re.sub(r"\W", "_", name)
    lines = [
        f'"""The migration {name}: run `crossfade doctor` whenever you have changed it."""',
        "",
        "from crossfade import HttpService, Migration, SqlTable, json",
        "",
    ]
    if not entities:
        lines += ["# Nothing was found out about your tables: replace this example.", ""]
    for draft in drafts:
        lines += [*_mapping(draft), ""]
    lines += [
        "",
        "# Callers talk to the gateway, and the gateway to these. After `answers_within` an",
        "# unanswered call must certainly have ended: the service's own time-out, and some more.",
        f"{variable} = Migration(",
        f'    "{name}",',
        f'    legacy=HttpService("{places.legacy}", answers_within="10s"),',
        f'    new=HttpService("{places.new}", answers_within="10s"),',
        ")",
    ]
    for draft in drafts:
        lines += ["", *_declaration(variable, draft, places)]
    return "\n".join(lines) + "\n"


def settings_text(gateway_port: int, control_port: int) -> str:
    """The settings that most people change, all at their defaults."""
    return f"""\
# Settings that are no part of the migration. The environment wins over this file
# (CROSSFADE_GATEWAY__PORT=8500), and the command line over both.

ledger = "sqlite:///.crossfade/ledger.db" # beside migration.py
log_level = "info"

[gateway]
host = "127.0.0.1" # where callers come in
port = {gateway_port}

[control]
port = {control_port} # where the command line talks to a running node; loopback only
"""


def _mapping(draft: EntityDraft) -> Iterator[str]:
    """Both mapping functions: plain functions, no clock, no randomness, no network."""
    pairs = draft.columns
    yield ""
    yield f"def {draft.name}_to_new(record):"
    yield f'    """A row of {draft.legacy.name} as a row of {draft.new.name}."""'
    yield "    return {"
    yield from (f'        "{new}": record["{legacy}"],' for legacy, new in pairs)
    yield from (f'        # "{new}": ...,  # nothing has this name' for new in draft.new_alone)
    yield "    }"
    yield ""
    yield ""
    yield f"def {draft.name}_to_legacy(record):"
    yield f'    """A row of {draft.new.name} as a row of {draft.legacy.name}."""'
    yield "    return {"
    yield from (f'        "{legacy}": record["{new}"],' for legacy, new in pairs)
    yield from (
        f'        # "{name}": ...,  # nothing has this name' for name in draft.legacy_alone
    )
    yield "    }"


def _declaration(variable: str, draft: EntityDraft, places: Places) -> Iterator[str]:
    plural = f"{draft.name}s"
    path = "/".join(f"{{{name}}}" for name in draft.new.key)
    created = f', created=json("$.{draft.new.key[0]}")' if len(draft.new.key) == 1 else ""
    yield f"{plural} = {variable}.entity("
    yield f'    "{draft.name}",'
    yield f"    legacy={_table(places.legacy_database, draft.legacy)},"
    yield f"    new={_table(places.new_database, draft.new)},"
    yield f"    to_new={draft.name}_to_new,"
    yield f"    to_legacy={draft.name}_to_legacy,"
    yield ")"
    yield "# GET reads, the rest writes; POST answers with the id that the service made."
    yield f'{variable}.resource("/{plural}", "/{plural}/{path}", {plural}{created})'


def _table(database: str, table: Table) -> str:
    key = repr(table.key[0] if len(table.key) == 1 else table.key).replace("'", '"')
    return f'SqlTable("{database}", "{table.name}", key={key})'
