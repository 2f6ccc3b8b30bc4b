"""What one writer knows: records that only it writes, and those that anybody may point to."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from tests.acceptance.chinook.neutral import COLUMNS, LINES, Key, Row, key_of
from tests.acceptance.chinook.services import Service

CONTESTED = "genre"
"""Everybody renames genres."""
_PARENTS = {
    "album": {"artist_id": "artist"},
    "track": {"album_id": "album", "genre_id": "genre", "media_type_id": "media_type"},
    "playlist_track": {"playlist_id": "playlist", "track_id": "track"},
    "employee": {"reports_to": "employee"},
    "customer": {"support_rep_id": "employee"},
    "invoice": {"customer_id": "customer"},
    "invoice_line": {"invoice_id": "invoice", "track_id": "track"},
}
_OWNER = {"playlist_track": "playlist_id", "invoice": "customer_id"}
"""Whoever owns the record of that column owns this one, too."""


@dataclass(slots=True)
class State:
    """The records that a writer has to itself, as it was told that they are."""

    chance: random.Random
    rows: dict[str, dict[Key, Row]] = field(default_factory=lambda: defaultdict(dict))
    """Those that it owns: entity -> key -> row."""
    made: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    """Those of them that writers have made: only these and what hangs on them are deleted."""
    shared: dict[str, list[int]] = field(default_factory=dict)
    """Records that are never deleted: anybody may point to them."""
    left_alone: set[tuple[str, Key]] = field(default_factory=set)
    """Records of which the writer does not know what became of them."""

    def own(self, entity: str, *, made: bool = False) -> Key | None:
        """A record of its own, at random."""
        keys = self.made[entity] if made else self.rows[entity].keys()
        known = sorted(key for key in keys if (entity, key) not in self.left_alone)
        return self.chance.choice(known) if known else None

    def any_of(self, entity: str) -> int:
        """A record to point to: one that stays, or sometimes one of its own."""
        mine = self.own(entity, made=True)
        if mine is not None and self.chance.random() < 0.5:
            return mine[0]
        return self.chance.choice(self.shared[entity])

    def keep(self, entity: str, key: Key, row: Row) -> None:
        """A record was made."""
        self.rows[entity][key] = row
        self.made[entity].add(key)

    def forget(self, entity: str, key: Key) -> None:
        """A record was deleted."""
        del self.rows[entity][key]
        self.made[entity].discard(key)

    def is_pointed_to(self, entity: str, key: Key) -> bool:
        """Whether a record of its own points to this one, or may do."""
        return any(
            row.get(column) == key[0]
            for child, columns in _PARENTS.items()
            for column, parent in columns.items()
            if parent == entity
            for row in self._all(child)
        )

    def leave_alone(self, entity: str, key: Key | None, row: Row) -> None:
        """Touch neither the record nor what it points to: nobody knows whether it is there."""
        if key is not None:
            self.left_alone.add((entity, key))
        for column, parent in _PARENTS.get(entity, {}).items():
            if row.get(column) is not None:
                self.left_alone.add((parent, (row[column],)))

    def _all(self, table: str) -> list[Row]:
        if table == "invoice_line":
            return [line for row in self.rows["invoice"].values() for line in row[LINES]]
        return list(self.rows[table].values())


def state_of(service: Service, index: int, count: int, chance: random.Random) -> State:
    """What writer `index` of `count` may have to itself, of all that a service has now."""
    state = State(chance)
    lines = defaultdict(list)
    for line in service.rows("invoice_line"):
        lines[line["invoice_id"]].append(line)
    for entity in COLUMNS:
        if entity == "invoice_line":
            continue
        rows = service.rows(entity)
        state.shared[entity] = [key_of(entity, row)[0] for row in rows]
        for row in rows:
            key = key_of(entity, row)
            if row.get(_OWNER.get(entity, ""), key[0]) % count == index and entity != CONTESTED:
                state.rows[entity][key] = row
                if entity == "invoice":
                    row[LINES] = lines[key[0]]
    # Records that nothing points to may be deleted, whoever made them.
    state.made["playlist_track"] = set(state.rows["playlist_track"])
    state.made["invoice"] = set(state.rows["invoice"])
    return state
