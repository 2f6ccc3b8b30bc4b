"""Whatever is wrong is one line: what, why, and what to do; nothing is changed."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.acceptance.cli.shop import DEFINITION, Shop


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("to_new=to_new", "to_new=to_neww"), "raised NameError in line"),
        (('"shop",\n', '"Shop",\n'), "no name for the migration"),
        (("/customers/{id}", "/customers/id"), "names no key"),
        (('shop.resource("/customers"', 'other.resource("/customers"'), "raised NameError"),
        (("shop = Migration(", "shop = = Migration("), "raised SyntaxError in line 4"),
    ],
)
def test_a_wrong_definition(shop: Shop, change: tuple[str, str], words: str) -> None:
    """The file and the line are named."""
    shop.define(DEFINITION, change)

    ended = shop.run("doctor")

    assert (ended.code, ended.out) == (3, "")
    assert words in ended.error


def test_a_wrong_file(shop: Shop) -> None:
    """None, one that is no definition, one that does not exist."""
    assert "makes 0 migrations" in _with_definition(shop, "x = 1\n")
    assert "there is no file" in shop.run("status", "-m", "nope.py").error
    (shop.folder / "migration.py").unlink()
    assert "crossfade init" in shop.run("status").error


def test_an_unknown_setting(shop: Shop) -> None:
    """With the name that was probably meant."""
    (shop.folder / "crossfade.toml").write_text("[gateway]\nprt = 1\n")

    ended = shop.run("doctor")

    assert (ended.code, '"port"' in ended.error) == (3, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"Customer", key', '"Customers", key'), "Did you mean 'Customer'?"),
        (('key="CustomerId"', 'key="CustomerID"'), "Did you mean 'CustomerId'?"),
        (('key="CustomerId"', 'key="City"'), "the key City"),
        (('"credit_cents": round(row["Credit"] * 100)', '"cents": 1'), "no column cents"),
        (('"city": row["City"], ', ""), "legacy.City does not survive"),
        (('row["Credit"] * 100', 'row["Credits"] * 100'), "raised KeyError"),
        (("round(row[", "int(row["), "legacy.Credit does not survive"),
        (
            ('"note": row["Note"]', '"note": __import__("uuid").uuid4().hex'),
            "another result the second time",
        ),
        (("${env:LEGACY_DB}", "${env:NOT_SET}"), "NOT_SET is not set"),
        (('"${env:LEGACY_DB}"', '"sqlite:////no/such.db"'), "/no/such.db"),
        (('"${env:LEGACY_DB}"', '"oracle://x"'), "oracle"),
    ],
)
def test_doctor_finds_what_is_wrong_with_databases_and_mappings(
    shop: Shop, change: tuple[str, str], words: str
) -> None:
    """Each is a finding; the others are looked at all the same."""
    shop.add_customers(20)
    shop.sql(shop.legacy_db, "UPDATE Customer SET City = 'Rome'")
    assert problems(shop) == []
    shop.define(DEFINITION, change)

    found = problems(shop)

    assert any(words in message for message in found), found
    assert not any("example.com" in message for message in found)


def test_what_a_mapping_loses_on_purpose_may_be_said(shop: Shop) -> None:
    """`lossy` names it, and doctor is content."""
    shop.add_customers(5)
    shop.sql(shop.legacy_db, "UPDATE Customer SET City = 'Rome'")
    shop.define(
        DEFINITION,
        ('"city": row["City"], ', ""),
        ("    to_legacy=to_legacy,", '    to_legacy=to_legacy, lossy=("legacy.City",),'),
    )

    assert problems(shop) == []


def problems(shop: Shop) -> list[str]:
    """What doctor finds wrong, but for the services, which do not run here."""
    findings = shop.run("doctor", "--apply", "--json").document["findings"]
    return [
        one["message"]
        for one in findings
        if one["verdict"] == "problem" and not one["what"].endswith(" service")
    ]


def test_doctor_prints_the_statements_that_make_our_tables(shop: Shop) -> None:
    """It changes nothing without --apply."""
    ended = shop.run("doctor")

    assert "CREATE TABLE IF NOT EXISTS crossfade_fence" in ended.out
    assert shop.run("doctor", "--json").document["problems"] == 4


def test_a_port_in_use(open_shop: Shop) -> None:
    """For callers, and for the control API; neither leaves a ledger behind, or takes a store."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option in ("--gateway-port", "--control-port"):
            ended = open_shop.run("up", option, port)
            assert (ended.code, ended.out) == (3, "")
            assert f"127.0.0.1:{port}: the port is in use" in ended.error
    assert not (open_shop.folder / ".crossfade" / "ledger.db").exists()
    assert open_shop.run("doctor").code == 0


def test_a_ledger_that_is_none_or_newer(open_shop: Shop) -> None:
    """Neither is touched."""
    ledger = open_shop.folder / ".crossfade" / "ledger.db"
    open_shop.run("plan", "shadow")
    open_shop.sql(ledger, "INSERT INTO schema_version (number, name) VALUES (9999, 'x')")
    for words in (["status"], ["up"], ["plan", "shadow"]):
        assert open_shop.run(*words).code == 3
    ledger.write_text("something else")

    for words in (["status"], ["up"], ["doctor"]):
        ended = open_shop.run(*words)
        assert ended.code == 3
    assert ledger.read_text() == "something else"


def test_a_deleted_ledger_against_fenced_stores(open_shop: Shop) -> None:
    """Nothing is left behind by who is refused; `ledger adopt new` mends it."""
    open_shop.run("plan", "shadow")
    shutil.rmtree(open_shop.folder / ".crossfade")
    assert "ledger adopt" in open_shop.run("doctor").out
    ended = open_shop.run("up")
    assert (ended.code, "crossfade ledger adopt" in ended.error) == (3, True)
    assert (open_shop.run("status").code, "crossfade up" in open_shop.run("status").error) == (
        3,
        True,
    )

    assert "adopt new" in open_shop.run("ledger", "adopt", "0" * 32).error
    assert open_shop.run("ledger", "adopt", "new", "--dry-run").code == 0
    assert open_shop.run("plan", "shadow").code == 3
    adopted = open_shop.run("ledger", "adopt", "new", "--reason", "lost")
    assert (adopted.code, "crossfade stage promote shadow" in adopted.out) == (0, True)
    ledger_id = open_shop.run("ledger", "show", "--json").document["ledger_id"]
    assert open_shop.run("ledger", "adopt", "new").code == 3
    assert open_shop.run("ledger", "adopt", "0" * 32).code == 3
    assert open_shop.run("ledger", "adopt", ledger_id, "--dry-run").code == 0
    assert open_shop.run("plan", "shadow").code == 5
    assert open_shop.run("doctor").code == 0


def test_an_older_copy_of_the_ledger(open_shop: Shop, tmp_path: Path) -> None:
    """The stores have seen tokens that it never gave out."""
    open_shop.add_customers(5)
    open_shop.run("plan", "shadow")
    copied = tmp_path / "copied.db"
    shutil.copy(open_shop.folder / ".crossfade" / "ledger.db", copied)
    with open_shop.up():
        open_shop.run("stage", "promote", "shadow")
        assert open_shop.run("backfill", "start").code == 0
    shutil.copy(copied, open_shop.folder / ".crossfade" / "ledger.db")

    ended = open_shop.run("up")

    assert (ended.code, "crossfade ledger adopt" in ended.error) == (3, True)
    assert open_shop.run("doctor").code == 3


def test_an_entity_or_a_key_that_does_not_exist(open_shop: Shop) -> None:
    """With the names and the form that are right."""
    open_shop.run("stage", "promote", "shadow")
    for words in (
        ["canary", "set", "orders", "5"],
        ["dirty", "--entity", "orders"],
        ["backfill", "start", "orders"],
        ["repair", "orders", "1"],
    ):
        assert "customer" in open_shop.run(*words).error
    assert "whole number" in open_shop.run("repair", "customer", "x").error
    assert open_shop.run("canary", "set", "customer", "101").code == 2


def _with_definition(shop: Shop, text: str) -> str:
    shop.define(text)
    return shop.run("status").error
