"""The migration that the bulk benchmark copies: one table, a mapping in Python."""

import os
from typing import Any

from crossfade import Migration, SqlTable

Record = dict[str, Any]


def to_new(row: Record) -> Record:
    """The mapping that every side of the comparison with one runs for each row."""
    return {
        "id": row["CustomerId"],
        "display_name": row["FullName"].strip(),
        "email": row["Email"].lower(),
        "city": row["City"],
        "note": row["Note"],
        "credit_cents": row["CreditCents"] + row["BonusCents"],
        "active": row["Active"],
        "created_at": row["CreatedAt"],
    }


def to_legacy(row: Record) -> Record:
    """The way back; not used here."""
    return {"CustomerId": row["id"], "FullName": row["display_name"]}


NOWHERE = "postgresql:///none"
"""Replaced by the benchmark before the file is loaded."""

bulk = Migration("bulk")
bulk.entity(
    "customer",
    legacy=SqlTable(os.environ.get("BENCH_BULK_LEGACY", NOWHERE), "Customer", key="CustomerId"),
    new=SqlTable(os.environ.get("BENCH_BULK_NEW", NOWHERE), "customers", key="id"),
    to_new=to_new,
    to_legacy=to_legacy,
)
