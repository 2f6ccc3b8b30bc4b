"""A bad day: what `status`, `doctor` and dry runs say when something is down or over."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.acceptance.cli.shop import Ended, Shop
from tests.acceptance.cli.test_walk import CUSTOMER, call, done, wait_for_samples


def commands(shop: Shop) -> list[str]:
    """What `status` tells to type next."""
    return [one["command"] for one in shop.run("status", "--json").document["next"]]


def history(shop: Shop) -> list[tuple[str, str]]:
    """What was done by command, and why."""
    entries = shop.run("stage", "history", "--json").document["entries"]
    return [
        (one["action"], one["detail"]["reason"])
        for one in entries
        if one["actor"].startswith("cli")
    ]


@contextlib.contextmanager
def away(shop: Shop, side: str) -> Iterator[None]:
    """A side's database is gone for a while, with what lies beside it."""
    database = shop.new_db if side == "new" else shop.legacy_db
    hidden = shop.folder / "away"
    hidden.mkdir()
    for file in sorted(shop.folder.glob(f"{database.name}*")):
        file.rename(hidden / file.name)
    try:
        yield
    finally:
        for file in sorted(hidden.iterdir()):
            file.rename(shop.folder / file.name)
        hidden.rmdir()


def refused(ended: Ended, words: str) -> None:
    """The command said no, and why."""
    assert (ended.code, words in ended.err + ended.out) == (5, True), ended


def _go_live(shop: Shop, callers: str) -> None:
    """Copy, compare and verify the 25 customers, then let new answer."""
    done(shop.run("stage", "promote", "shadow"))
    done(shop.run("backfill", "start"))
    for number in range(1, 26):
        assert call("GET", f"{callers}/customers/{number}")[0] == 200
    done(shop.run("verify"))
    wait_for_samples(shop)
    done(shop.run("stage", "promote", "live"))


def _wait_for_quarantine(shop: Shop) -> None:
    """Until a key cannot converge; bounded."""
    for _ in range(100):
        if shop.run("quarantine", "--json").document["quarantined"]:
            return
    pytest.fail("no key was quarantined")


def test_the_status_tells_what_does_not_answer_and_suggests_no_move(open_shop: Shop) -> None:
    """As soon as it does, the way forward is shown again."""
    with open_shop.up():
        assert commands(open_shop) == ["crossfade stage promote shadow"]
        done(open_shop.run("stage", "promote", "shadow"))
        with away(open_shop, "new"):
            told = open_shop.run("status")
            document = open_shop.run("status", "--json").document
        assert "No answer from" in told.out
        assert " since 20" in told.out
        assert document["now"]["unreachable"]
        assert [one["command"] for one in document["next"]] == ["crossfade doctor"]
        assert commands(open_shop) != ["crossfade doctor"]


def test_without_a_node_nothing_is_promoted(open_shop: Shop) -> None:
    """A command's own node is gone when the move is made: it says that none runs."""
    planned = open_shop.run("plan", "shadow")

    assert (planned.code, "no node is running" in planned.out) == (5, True)
    refused(open_shop.run("stage", "promote", "shadow"), "no node is running")


def test_reasons_reach_the_history(open_shop: Shop) -> None:
    """Of everything that --reason is offered for."""
    open_shop.add_customers(3)
    with open_shop.up():
        done(open_shop.run("stage", "promote", "shadow", "--reason", "one"))
        done(open_shop.run("backfill", "start", "--reason", "two"))
        done(open_shop.run("repair", "customer", "1", "--reason", "three"))
        done(open_shop.run("canary", "set", "customer", "5", "--reason", "four"))
        done(open_shop.run("verify", "--reason", "five"))
        done(open_shop.run("freeze", "--reason", "six"))
        done(open_shop.run("freeze", "--off", "--reason", "seven"))

        assert {why for _, why in history(open_shop)} == {
            "one", "two", "three", "four", "five", "six", "seven",
        }  # fmt: skip
        assert ("verification started", "five") in history(open_shop)


def test_dry_runs_agree_with_the_commands(open_shop: Shop) -> None:
    """Wrong direction, wrong stage, a dead authority; a waived key stays where it is."""
    open_shop.add_customers(25)
    open_shop.add_customers(1, name="refused", first=26)
    with open_shop.up() as node:
        callers = node["gateway_url"]
        done(open_shop.run("stage", "promote", "shadow"))
        assert open_shop.run("backfill", "start").code == 7
        for number in range(1, 26):
            assert call("GET", f"{callers}/customers/{number}")[0] == 200
        waived = open_shop.run("quarantine", "waive", "customer", "26")
        assert "stays on legacy alone" in waived.out
        assert "1 key;" in waived.out
        done(open_shop.run("verify"))
        wait_for_samples(open_shop)
        for words in (["rollback", "live"], ["promote", "off"], ["promote", "completed"]):
            for dry in ([], ["--dry-run"]):
                assert open_shop.run("stage", *words, *dry).code == 5, words
        done(open_shop.run("stage", "promote", "live"))

        for words in (["stage", "promote", "shadow"], ["retire", "--yes", "shop"]):
            for dry in ([], ["--dry-run"]):
                assert open_shop.run(*words, *dry).code == 5, words
        with away(open_shop, "new"):
            rehearsed = open_shop.run("stage", "rollback", "shadow", "--dry-run")
            refused(rehearsed, "does not answer; 1 key may have the newest value only there")
            assert open_shop.run("stage", "rollback", "shadow").error == rehearsed.error
            forced = open_shop.run("stage", "rollback", "shadow", "--force", "--dry-run")
            assert (forced.code, "1 key would be held" in forced.out) == (0, True)
            assert "rollback shadow --force" in forced.out
        assert open_shop.run("stage", "show").out.startswith("live")


def test_a_roll_back_that_a_key_is_in_the_way_of_names_the_command(open_shop: Shop) -> None:
    """The dry run says the same, and the history does not say `None`."""
    open_shop.add_customers(25)
    with open_shop.up() as node:
        callers = node["gateway_url"]
        _go_live(open_shop, callers)
        open_shop.sql(
            open_shop.legacy_db,
            "CREATE TRIGGER never BEFORE UPDATE ON Customer BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        assert call("PUT", f"{callers}/customers/3", CUSTOMER)[0] == 200
        _wait_for_quarantine(open_shop)

        for dry in ([], ["--dry-run"]):
            ended = open_shop.run("stage", "rollback", "shadow", "--budget", "0.2", *dry)
            refused(ended, "1 quarantined key (see `crossfade quarantine`)")
        assert "None" not in open_shop.run("stage", "history").out


def test_after_retire_everything_says_so_and_new_goes_on(open_shop: Shop) -> None:
    """`up` starts again, reads and writes are new's, and `doctor` misses no table."""
    open_shop.add_customers(25)
    with open_shop.up() as node:
        callers = node["gateway_url"]
        _go_live(open_shop, callers)
        done(open_shop.run("stage", "promote", "completed", "--waive", "soak"))
        retired = open_shop.run("retire", "--yes", "shop")
        assert "does not declare still pass to legacy" in retired.out

    examined = open_shop.run("doctor")
    assert (examined.code, "retired" in examined.out) == (0, True), examined.out
    with open_shop.up() as node:
        callers = node["gateway_url"]
        assert call("PUT", f"{callers}/customers/3", {**CUSTOMER, "name": "Eve"})[0] == 200
        assert call("GET", f"{callers}/customers/3")[1]["name"] == "Eve"
        assert "retired" in open_shop.run("status").out
