"""The text of a first migration.py and crossfade.toml; pure."""

import json
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
    if variable in {f"{draft.name}s" for draft in drafts}:
        variable = f"{variable}_migration"
    imports = ["HttpService", "Migration", "SqlTable", "json"]
    if any(draft.renames_only for draft in drafts):
        imports.insert(3, "columns")
    lines = [
        f'"""The migration {name}: run `crossfade doctor` whenever you have changed it."""',
        "",
        f"from crossfade import {', '.join(imports)}",
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
    """Both mappings; where only names differ they are declared, else plain functions."""
    if draft.renames_only:
        yield from _renaming(draft)
        return
    pairs = draft.columns
    notes = {pair: _note(draft, *pair) for pair in draft.converted}
    yield ""
    yield f"def {draft.name}_to_new(record):"
    yield f'    """A row of {_plain(draft.legacy.name)} as a row of {_plain(draft.new.name)}."""'
    yield "    return {"
    for legacy, new in pairs:
        yield f"        {_text(new)}: record[{_text(legacy)}],{notes.get((legacy, new), '')}"
    yield from (
        f"        # {_text(new)}: ...,  # nothing has this name" for new in draft.new_alone
    )
    yield "    }"
    yield ""
    yield ""
    yield f"def {draft.name}_to_legacy(record):"
    yield f'    """A row of {_plain(draft.new.name)} as a row of {_plain(draft.legacy.name)}."""'
    yield "    return {"
    for legacy, new in pairs:
        yield f"        {_text(legacy)}: record[{_text(new)}],{notes.get((legacy, new), '')}"
    yield from (
        f"        # {_text(name)}: ...,  # nothing has this name" for name in draft.legacy_alone
    )
    yield "    }"


def _renaming(draft: EntityDraft) -> Iterator[str]:
    yield ""
    yield f"{draft.name}_to_new = columns("
    yield "    {"
    yield from (f"        {_text(legacy)}: {_text(new)}," for legacy, new in draft.columns)
    yield "    }"
    yield ")"
    yield f"{draft.name}_to_legacy = {draft.name}_to_new.inverse()"


def _note(draft: EntityDraft, mine: str, theirs: str) -> str:
    """What both sides say of a column whose values may have to be converted."""
    one, other = draft.legacy.column(mine), draft.new.column(theirs)
    if one is None or other is None:
        return ""
    return (
        f"  # {_plain(one.declared) or 'any'} on legacy, {_plain(other.declared) or 'any'} on new"
    )


def _text(text: str) -> str:
    """As Python writes it, in double quotes."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _plain(name: str) -> str:
    """A name as it may stand in a comment or a docstring."""
    return re.sub(r"[^\w .,()-]", "?", name)


def _declaration(variable: str, draft: EntityDraft, places: Places) -> Iterator[str]:
    plural = f"{draft.name}s"
    # In a path a key's part has any name.
    parts = [re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII) for name in draft.new.key]
    path = "/".join(f"{{{name}}}" for name in parts)
    created = f', created=json("$.{parts[0]}")' if len(parts) == 1 else ""
    yield f"{plural} = {variable}.entity("
    yield f'    "{draft.name}",'
    yield f"    legacy={_table(places.legacy_database, draft.legacy)},"
    yield from _children("legacy", places.legacy_database, draft.legacy, draft.legacy_children)
    yield f"    new={_table(places.new_database, draft.new)},"
    yield from _children("new", places.new_database, draft.new, draft.new_children)
    yield f"    to_new={draft.name}_to_new,"
    yield f"    to_legacy={draft.name}_to_legacy,"
    yield ")"
    yield "# GET reads, the rest writes; POST answers with the id that the service made."
    yield f'{variable}.resource("/{plural}", "/{plural}/{path}", {plural}{created})'


def _table(database: str, table: Table) -> str:
    return f'SqlTable("{database}", {_text(table.name)}, key={_key(table.key)})'


def _key(names: Sequence[str]) -> str:
    if len(names) == 1:
        return _text(names[0])
    return f"({', '.join(map(_text, names))})"


def _children(side: str, database: str, table: Table, children: Sequence[Table]) -> Iterator[str]:
    """A comment for each table whose rows may belong to a row of this one."""
    for child in children:
        parent = next(columns for name, columns in child.parents if name == table.name)
        yield f"    # If its rows belong to it on {side}, they are a list in the record:"
        yield (
            f'    # children={{{_text(child.name)}: SqlTable("{database}", {_text(child.name)}, '
            f"parent={_key(parent)})}}"
        )
