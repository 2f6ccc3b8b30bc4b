"""How Chinook's records translate between the three services; plain functions, both ways."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

Record = dict[str, Any]
Convert = Callable[[Any], Any]

CONTACT = ("Address", "City", "State", "Country", "PostalCode", "Phone", "Fax", "Email")
"""What an employee's `contact` document holds, under lower-case names."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """Columns of one side and those of the other, and what becomes of their values."""

    pairs: Mapping[str, str]
    forth: Mapping[str, Convert]
    """First side's column to what makes the other side's value of it."""
    back: Mapping[str, Convert]

    def to_second(self, record: Record) -> Record:
        """A record of the first side as the second one has it."""
        return {
            theirs: self.forth.get(mine, _same)(record[mine])
            for mine, theirs in self.pairs.items()
        }

    def to_first(self, record: Record) -> Record:
        """And the other way."""
        return {
            mine: self.back.get(mine, _same)(record[theirs]) for mine, theirs in self.pairs.items()
        }


def renamed(
    pairs: Mapping[str, str],
    *,
    forth: Mapping[str, Convert] | None = None,
    back: Mapping[str, Convert] | None = None,
) -> Renamed:
    """Columns that are renamed, some of them with other types."""
    return Renamed(pairs, forth or {}, back or {})


def staff_from_employee(record: Record) -> Record:
    """SQLite's employee as a row of `staff`: dates are dates, the contact is a document."""
    return {
        "id": record["EmployeeId"],
        "last_name": record["LastName"],
        "first_name": record["FirstName"],
        "job": record["Title"],
        "boss_id": record["ReportsTo"],
        "born_on": _day(record["BirthDate"]),
        "hired_on": _day(record["HireDate"]),
        "contact": {name.lower(): record[name] for name in CONTACT},
    }


def employee_from_staff(record: Record) -> Record:
    """The way back."""
    return {
        "EmployeeId": record["id"],
        "LastName": record["last_name"],
        "FirstName": record["first_name"],
        "Title": record["job"],
        "ReportsTo": record["boss_id"],
        "BirthDate": _midnight_text(record["born_on"]),
        "HireDate": _midnight_text(record["hired_on"]),
        **{name: record["contact"][name.lower()] for name in CONTACT},
    }


def last_employee_from_staff(record: Record) -> Record:
    """A row of `staff` as MariaDB has it: a date and time, and columns again."""
    return employee_from_staff(record) | {
        "BirthDate": _midnight(record["born_on"]),
        "HireDate": _midnight(record["hired_on"]),
    }


def staff_from_last_employee(record: Record) -> Record:
    """The way back."""
    texts = {name: moment_text(record[name]) for name in ("BirthDate", "HireDate")}
    return staff_from_employee(record | texts)


def with_lines(
    parent: Renamed, lines: Renamed, first: str, second: str
) -> tuple[Convert, Convert]:
    """The mappings of an aggregate whose child list has another name on each side."""

    def forth(record: Record) -> Record:
        children = [lines.to_second(line) for line in record[first]]
        return parent.to_second(record) | {second: children}

    def back(record: Record) -> Record:
        children = [lines.to_first(line) for line in record[second]]
        return parent.to_first(record) | {first: children}

    return forth, back


def moment(text: str | None) -> datetime | None:
    """SQLite's text as a date and time."""
    return None if text is None else datetime.fromisoformat(text)


def moment_text(value: datetime | None) -> str | None:
    """A date and time as SQLite's text."""
    return None if value is None else value.isoformat(sep=" ")


def _same(value: Any) -> Any:  # noqa: ANN401 - any value of a column
    return value


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text[:10])


def _midnight_text(day: date | None) -> str | None:
    return None if day is None else f"{day.isoformat()} 00:00:00"


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - as the column is
