"""One side is dead: the other serves on, and a node can start."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.acceptance.cli.shop import SECONDS_MAX, Shop

CUSTOMER = {"name": "Grace", "email": "g@example.com", "city": None, "note": "", "credit": "1.00"}


def _call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "PUT"
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - ours
    with urllib.request.urlopen(asked, timeout=SECONDS_MAX) as answer:  # noqa: S310 - ours
        document: dict[str, Any] = json.load(answer)
        return document


def _wait_until_nothing_is_dirty(shop: Shop) -> None:
    until = time.monotonic() + SECONDS_MAX
    while shop.run("status", "--json").document["totals"]["dirty"]:
        assert time.monotonic() < until
        time.sleep(0.2)


def _files(database: Path) -> list[Path]:
    return sorted(database.parent.glob(f"{database.name}*"))


def test_a_node_starts_while_the_mirrors_database_is_gone(open_shop: Shop) -> None:
    """Callers need it most then; what they write converges once the database is back."""
    open_shop.add_customers(3)
    with open_shop.up():
        assert open_shop.run("stage", "promote", "shadow").code == 0
        assert open_shop.run("backfill", "start").code == 0
    away = open_shop.folder / "away"
    away.mkdir()
    for file in _files(open_shop.new_db):
        file.rename(away / file.name)

    with open_shop.up() as told:
        gateway = told["gateway_url"]
        assert _call(f"{gateway}/customers/2")["name"] == "Ada"
        assert _call(f"{gateway}/customers/2", {"id": 2, **CUSTOMER})["name"] == "Grace"
        for file in sorted(away.iterdir()):
            file.rename(open_shop.folder / file.name)
        _wait_until_nothing_is_dirty(open_shop)

    assert open_shop.run("verify").code == 0


def test_a_wrong_path_is_an_error_before_the_first_move(open_shop: Shop) -> None:
    """Nobody has seen that database yet: it is no dead side, but a mistake in writing."""
    for file in _files(open_shop.new_db):
        file.unlink()

    ended = open_shop.run("up")

    assert (ended.code, "there is no database file" in ended.error) == (3, True)
