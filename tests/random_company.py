"""Random transactions on a company's tables, each of which leaves every constraint satisfied."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from crossfade.model.key import Key
from crossfade.store.base import Record

Rows = dict[str, dict[Key, Record]]
"""Entity to its records by key."""

ENTITIES = ("note", "person", "team", "job")
"""Children before parents, so that no order helps by accident."""

POINTERS = (
    ("person", "boss", "person"),
    ("person", "team", "team"),
    ("team", "leader", "person"),
    ("note", "person", "person"),
)
UNIQUE = (
    ("person", "email"),
    ("person", "nick"),
    ("person", "seat"),
    ("team", "name"),
)
IDS = range(1, 7)


@dataclass(slots=True)
class RandomCompany:
    """What the authority holds, changed one transaction at a time."""

    dice: random.Random
    rows: Rows = field(default_factory=lambda: {entity: {} for entity in ENTITIES})

    def transaction(self) -> Rows:
        """The rows after another transaction; those of now, if no change was a valid one."""
        for _ in range(20):
            changed = deepcopy(self.rows)
            for _ in range(self.dice.randint(1, 6)):
                self.dice.choice(_CHANGES)(self, changed)
            if is_valid(changed):
                return changed
        return self.rows

    def put(self, rows: Rows) -> None:
        """Insert or replace a record."""
        entity = self.dice.choice(ENTITIES)
        key = self._id()
        record: Record = {"id": key}
        if entity == "person":
            record |= {"email": self._text(), "nick": self._some(self._text()),
                       "seat": self.dice.randint(1, 9), "boss": self._some(self._id()),
                       "team": self._some(self._id())}  # fmt: skip
        elif entity == "team":
            record |= {"name": self._text(), "leader": self._some(self._id())}
        elif entity == "note":
            record |= {"person": self._id(), "text": self._text()}
        else:
            numbers = self.dice.sample(range(1, 4), self.dice.randint(0, 2))
            steps = [
                {"job": key, "number": number, "serial": self._text(),
                 "person": self._some(self._id())}
                for number in sorted(numbers)
            ]  # fmt: skip
            record |= {"text": self._text(), "steps": steps}
        rows[entity][key,] = record

    def remove(self, rows: Rows) -> None:
        """Delete a record, with all that would point to it or without."""
        entity = self.dice.choice(ENTITIES)
        if not rows[entity]:
            return
        key = self.dice.choice(list(rows[entity]))
        del rows[entity][key]
        if self.dice.random() < 0.7:
            _let_go(rows, entity, key[0])

    def exchange(self, rows: Rows) -> None:
        """Records pass values that must be unique around."""
        entity, column = self.dice.choice(UNIQUE)
        count = min(len(rows[entity]), self.dice.randint(2, 4))
        keys = self.dice.sample(list(rows[entity]), count)
        values = [rows[entity][key][column] for key in keys]
        for key, value in zip(keys, values[1:] + values[:1], strict=True):
            rows[entity][key][column] = value

    def exchange_steps(self, rows: Rows) -> None:
        """Children pass values around, within a record and between records."""
        steps = [step for job in rows["job"].values() for step in job["steps"]]
        self.dice.shuffle(steps)
        serials = [step["serial"] for step in steps]
        for step, serial in zip(steps, serials[1:] + serials[:1], strict=True):
            step["serial"] = serial

    def _id(self) -> int:
        return self.dice.choice(IDS)

    def _text(self) -> str:
        return f"t{self.dice.randint(1, 12)}"

    def _some(self, value: object) -> object:
        return value if self.dice.random() < 0.6 else None


_CHANGES: tuple[Callable[[RandomCompany, Rows], None], ...] = (
    RandomCompany.put,
    RandomCompany.put,
    RandomCompany.remove,
    RandomCompany.exchange,
    RandomCompany.exchange_steps,
)


def is_valid(rows: Rows) -> bool:
    """Whether every constraint holds."""
    for entity, column, there in POINTERS:
        targets = {record[column] for record in rows[entity].values()} - {None}
        if not targets.issubset({key[0] for key in rows[there]}):
            return False
    steps = [step for job in rows["job"].values() for step in job["steps"]]
    people = {key[0] for key in rows["person"]}
    serials = [step["serial"] for step in steps]
    if len(set(serials)) < len(serials):
        return False
    if not {step["person"] for step in steps}.issubset({*people, None}):
        return False
    for entity, column in UNIQUE:
        values = [one[column] for one in rows[entity].values() if one[column] is not None]
        if len(set(values)) < len(values):
            return False
    return True


def changed_keys(before: Rows, after: Rows) -> list[tuple[str, Key]]:
    """The records that a transaction has changed."""
    return [
        (entity, key)
        for entity in ENTITIES
        for key in sorted({*before[entity], *after[entity]})
        if before[entity].get(key) != after[entity].get(key)
    ]


def _let_go(rows: Rows, entity: str, key: object) -> None:
    for there, column, target in POINTERS:
        if target != entity:
            continue
        for other, record in list(rows[there].items()):
            if record[column] == key and there == "note":
                del rows[there][other]
            elif record[column] == key:
                record[column] = None
    if entity == "person":
        _leave_steps(rows, key)


def _leave_steps(rows: Rows, person: object) -> None:
    for job in rows["job"].values():
        for step in job["steps"]:
            step["person"] = None if step["person"] == person else step["person"]
