"""What the acknowledged writes leave behind, row by row; the judge's own reckoning."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.acceptance.chinook.neutral import TEXT, Key, Row
from tests.acceptance.chinook.writes import Change, Told, Write

Rows = Mapping[str, Mapping[Key, Row]]
"""Table -> key -> row, every value as text."""
Place = tuple[str, Key]


@dataclass(slots=True)
class Life:
    """A record from when it was made, or from before the writers came, to its end."""

    made: Row | None
    """None for a record from before."""
    changed: Row = field(default_factory=dict)
    ended: bool = False


@dataclass(slots=True)
class Settled:
    """What must be there; a place that is not named is as it was."""

    made: dict[Place, Row] = field(default_factory=dict)
    changed: dict[Place, Row] = field(default_factory=dict)
    deleted: set[Place] = field(default_factory=set)
    """A place may be in `made`, too: its id was given out again."""
    wrong: list[str] = field(default_factory=list)
    """What no order of the writes explains."""
    unknown: list[str] = field(default_factory=list)
    """Writes of which nobody was told what became of them, and what did."""


def settle(told: Told, found: Rows) -> Settled:
    """Reckon what the writes leave; `found` decides only between what is allowed.

    A write whose writer was told nothing may have happened or not, but wholly. Of writers that
    wrote the same record at the same time, one whose write no other followed has the last word.
    """
    result = Settled(wrong=list(told.wrong))
    lives: dict[Place, list[Life]] = {}
    own: dict[tuple[str, Place], Life] = {}
    writes = sorted(told.writes, key=lambda write: (write.writer, write.number))
    for write in writes:
        if write.outcome == "done" and not write.contested:
            _apply(write, lives, own, result)
    for write in writes:
        if write.outcome == "unknown" and not write.contested:
            happened = _happened(write, found, lives)
            result.unknown.append(f"{write.changes[0]} happened: {happened is not None}")
            if happened is not None:
                _apply(happened, lives, own, result)
    for place, known in lives.items():
        _close(place, known, result)
    _settle_contested([write for write in writes if write.contested], found, result)
    return result


def _apply(
    write: Write,
    lives: dict[Place, list[Life]],
    own: dict[tuple[str, Place], Life],
    result: Settled,
) -> None:
    for change in write.changes:
        assert change.key is not None
        place = change.table, change.key
        if change.kind == "insert":
            life = own[write.writer, place] = Life(change.fields)
            lives.setdefault(place, []).append(life)
            continue
        known = own.get((write.writer, place))
        if known is None:
            known = own[write.writer, place] = Life(None)
            lives.setdefault(place, []).append(known)
        if known.ended:
            result.wrong.append(f"{place} was written after it was deleted: {change}")
        known.changed |= change.fields
        known.ended = change.kind == "delete"


def _close(place: Place, lives: list[Life], result: Settled) -> None:
    """What is left of the lives at one place, of which one at most goes on."""
    going_on = [life for life in lives if not life.ended]
    before = [life for life in lives if life.made is None]
    if len(going_on) > 1 or len(before) > 1:
        result.wrong.append(f"the id of {place} was given out to several records: {lives}")
        return
    if any(life.ended for life in before):
        result.deleted.add(place)
    for life in going_on:
        if life.made is None:
            result.changed[place] = life.changed
        else:
            result.made[place] = life.made | life.changed


def _happened(write: Write, found: Rows, lives: dict[Place, list[Life]]) -> Write | None:
    """The write with the ids that it was given, where its rows are as it would leave them."""
    changes: list[Change] = []
    for change in write.changes:
        known = _named(change, changes, found, lives)
        if known is None:
            return None
        changes.append(known)
    return replace(write, changes=changes)


def _named(
    change: Change, before: list[Change], found: Rows, lives: dict[Place, list[Life]]
) -> Change | None:
    """The change with its key, where it can be seen; None where it was not made."""
    rows = found[change.table]
    if change.kind == "delete":
        assert change.key is not None
        again = any(not life.ended and life.made is not None
                    for life in lives.get((change.table, change.key), []))  # fmt: skip
        return change if again or change.key not in rows else None
    if change.key is not None:
        return change if _has(rows.get(change.key), change.fields) else None
    fields = dict(change.fields)
    if change.table == "invoice_line" and "invoice_id" not in fields:
        invoice = before[0].key
        assert invoice is not None
        fields["invoice_id"] = invoice[0]
    taken = {one.key for one in before}
    for key, row in rows.items():
        unclaimed = key not in taken and all(
            life.ended for life in lives.get((change.table, key), [])
        )
        if unclaimed and _has(row, fields):
            return Change(change.table, "insert", key, row)
    return None


def _settle_contested(writes: list[Write], found: Rows, result: Settled) -> None:
    """The value that is there must be of a write that no acknowledged one came wholly after."""
    for place in {(one.changes[0].table, one.changes[0].key) for one in writes}:
        table, key = place
        assert key is not None
        mine = [one for one in writes if one.changes[0].key == key and one.outcome != "refused"]
        value = found[table].get(key, {}).get(TEXT[table])
        last = [one for one in mine if one.changes[0].fields[TEXT[table]] == value]
        done = [one for one in mine if one.outcome == "done"]
        if not last and not done:
            continue
        if not last:
            result.wrong.append(f"{place} is {value!r}, which nobody wrote last of {len(done)}")
            continue
        ended = last[0].ended if last[0].outcome == "done" else None
        later = [one for one in done if ended is not None and one.began > ended]
        if later:
            result.wrong.append(f"{place} is {value!r}, and {later[0].changes[0]} came after it")
        result.changed[table, key] = dict(last[0].changes[0].fields)


def _has(row: Row | None, fields: Row) -> bool:
    return row is not None and all(_text(row[name]) == _text(fields[name]) for name in fields)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
