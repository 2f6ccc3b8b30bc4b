"""Every exit code means one thing, and every error is one line that says what to do."""

import importlib
import signal
import time

import pytest

from crossfade.control.exit_codes import ExitCode
from tests.acceptance.cli.shop import Shop


def test_0_is_all_well(open_shop: Shop) -> None:
    """Results are on stdout; where they were read from is beside, on stderr."""
    open_shop.run("plan", "shadow")

    ended = open_shop.run("status")

    assert (ended.code, "stage off" in ended.out) == (ExitCode.OK, True)
    assert "no node is running: read from" in ended.err


def test_1_is_an_error_of_ours(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in one line; --debug shows where."""
    monkeypatch.setattr(
        importlib.import_module("crossfade.control.cli.status"), "Project", lambda _: 1 // 0
    )

    ended = shop.run("status")

    assert (ended.code, ended.out) == (ExitCode.ERROR, "")
    assert "ZeroDivisionError" in ended.error
    assert "Traceback" not in ended.err
    assert "Traceback" in shop.run("status", "--debug").err


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["stage", "promote"],
        ["stage", "promote", "shdow"],
        ["canary", "set", "customer", "many"],
        ["canary", "set", "customer", "200"],
        ["repair", "customer", "["],
        ["retire"],
        ["retire", "--yes", "ship"],
    ],
)
def test_2_is_a_wrong_command_line(shop: Shop, words: list[str]) -> None:
    """Nothing is tried, and nobody is asked off a terminal."""
    ended = shop.run(*words)

    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert ended.error
    assert not (shop.folder / ".crossfade").exists()


def test_3_is_a_wrong_configuration(shop: Shop) -> None:
    """No ledger yet, no such entity."""
    assert shop.run("status").code == ExitCode.CONFIGURATION
    assert "crossfade up" in shop.run("status").error


def test_4_is_somebody_who_does_not_answer(shop: Shop) -> None:
    """Neither service runs."""
    ended = shop.run("doctor", "--apply", "--json")

    assert (ended.code, ended.document["exit_code"]) == (ExitCode.UNREACHABLE, 4)
    failing = [one["what"] for one in ended.document["findings"] if one["verdict"] == "problem"]
    assert failing == ["legacy service", "new service"]


def test_5_is_a_refusal(open_shop: Shop) -> None:
    """An illegal move, a red gate, and a backfill that would be for nothing."""
    for words in (
        ["stage", "promote", "live"],
        ["stage", "rollback", "live"],
        ["backfill", "start"],
        ["retire", "--yes", "shop"],
    ):
        ended = open_shop.run(*words)
        assert (ended.code, ended.out) == (ExitCode.REFUSED, "")
        assert ended.error
    with open_shop.up():
        assert open_shop.run("stage", "promote", "shadow").code == ExitCode.OK
        refused = open_shop.run("stage", "promote", "live")
        planned = open_shop.run("plan", "live")

    assert (refused.code, planned.code) == (ExitCode.REFUSED, ExitCode.REFUSED)
    assert "customer" in refused.error
    assert open_shop.run("stage", "show").out.startswith("shadow")


def test_6_is_a_difference_and_7_is_a_part(open_shop: Shop) -> None:
    """One record cannot be copied; another was changed behind our back, and is copied again."""
    open_shop.add_customers(5)
    open_shop.add_customers(1, name="refused", first=6)
    with open_shop.up():
        open_shop.run("stage", "promote", "shadow")
        copied = open_shop.run("backfill", "start")
        assert (copied.code, "done" in copied.out) == (ExitCode.PARTIAL, True)
        assert open_shop.run("quarantine", "retry", "customer", "6").code == ExitCode.PARTIAL
        assert "6" in open_shop.run("quarantine").out
        open_shop.sql(open_shop.new_db, "UPDATE customers SET email = 'other' WHERE id = 3")

        verified = open_shop.run("verify", "--json")

        assert verified.code == ExitCode.DIFFERENCES
        verdict = verified.document["entities"][0]["verdict"]
        assert (verdict["different"], verdict["alarm_keys"]) == (1, [[3]])
        assert open_shop.run("quarantine", "waive", "customer", "6").code == ExitCode.OK
        assert open_shop.run("repair", "customer", "3").code == ExitCode.OK
        assert open_shop.run("verify").code == ExitCode.OK


def test_8_is_a_ledger_that_another_process_holds(open_shop: Shop) -> None:
    """Two nodes on one SQLite ledger; the second changes nothing."""
    with open_shop.up():
        ended = open_shop.run("up")

        assert (ended.code, ended.out) == (ExitCode.LOCKED, "")
        assert "one node per SQLite ledger" in ended.error
        assert open_shop.run("status").err == ""


def test_130_and_143_leave_work_that_goes_on(open_shop: Shop) -> None:
    """A backfill that is interrupted goes on where it stopped, with the same command."""
    open_shop.add_customers(3000)
    with open_shop.up():
        assert open_shop.run("stage", "promote", "shadow").code == ExitCode.OK
    copied = 0
    for number, code in (
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
    ):
        process = open_shop.start("backfill", "start", "--rows-per-second", "300")
        copied = _wait_until_copied(open_shop, copied + 1)
        ended = open_shop.finish(process, number)
        assert (ended.code, ended.out) == (code, "")
        assert "goes on" in ended.error
    before = open_shop.run("backfill", "status", "--json").document["entities"][0]
    assert not before["covered"]

    ended = open_shop.run("backfill", "start", "--json")

    assert ended.code == ExitCode.OK
    (told,) = ended.document["entities"]
    assert (told["covered"], told["sweep"]["rows"]) == (True, 3000)
    assert open_shop.run("verify").code == ExitCode.OK


def _wait_until_copied(shop: Shop, rows_min: int) -> int:
    """Wait until so many rows are copied; returns how many are."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        ended = shop.run("backfill", "--json")
        if ended.code == 0:
            rows = (ended.document["entities"][0]["sweep"] or {}).get("rows", 0)
            if rows >= rows_min:
                return int(rows)
        time.sleep(0.1)
    raise AssertionError("nothing is copied")
