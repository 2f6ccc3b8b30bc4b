"""A whole migration with the commands as they are typed, from an empty folder to `retire`."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.acceptance.cli.shop import Ended, Shop


def test_a_migration_from_shadow_to_retired(open_shop: Shop) -> None:
    """Forward, back, and to the end; each step says what it did, and history keeps it."""
    open_shop.add_customers(50)
    with open_shop.up() as node:
        callers = node["gateway_url"]
        done(open_shop.run("stage", "promote", "shadow", "--reason", "first"))
        done(open_shop.run("backfill", "start"))
        done(open_shop.run("canary", "set", "customer", "50"))
        for number in range(1, 31):
            assert call("GET", f"{callers}/customers/{number}")[0] == 200
        status, created = call("POST", f"{callers}/customers", CUSTOMER)
        assert status == 201
        done(open_shop.run("verify"))
        wait_for_samples(open_shop)

        assert open_shop.run("plan", "--json").document["allowed"]
        assert "Possible now" in open_shop.run("stage", "promote", "live", "--dry-run").out
        moved = open_shop.run("stage", "promote", "live", "--json").document
        assert (moved["wanted"], moved["decision"], moved["pause_ms"] > 0) == ("live", 2, True)
        assert call("GET", f"{callers}/customers/{created['id']}")[1]["name"] == "Zoë"
        done(open_shop.run("stage", "rollback", "shadow", "--reason", "slow", "--expected", "2"))
        stale = open_shop.run("stage", "promote", "live", "--expected", "2")
        assert (stale.code, "crossfade status" in stale.error) == (5, True)
        done(open_shop.run("stage", "promote", "live"))
        done(open_shop.run("stage", "promote", "completed", "--waive", "soak"))
        assert open_shop.run("retire", "--yes", "shop", "--dry-run").code == 0
        done(open_shop.run("retire", "--yes", "shop"))

        assert open_shop.run("status", "--json").document["retired"]
        history = open_shop.run("stage", "history", "--json").document["entries"]
        assert history[0]["action"] == "retired"
        assert {"first", "slow"} <= {entry["detail"]["reason"] for entry in history}
        assert all(entry["actor"].startswith(("cli", "crossfade")) for entry in history)


def test_the_same_documents_with_and_without_a_node(open_shop: Shop) -> None:
    """Where they were read differs, and what only a node can see; stderr says so."""
    open_shop.add_customers(3)
    with open_shop.up():
        done(open_shop.run("stage", "promote", "shadow"))
        done(open_shop.run("backfill", "start"))
        looks = [
            ["status"],
            ["stage", "show"],
            ["dirty"],
            ["quarantine"],
            ["diffs"],
            ["canary", "show"],
        ]
        asked = [open_shop.run(*words, "--json") for words in looks]
    read = [open_shop.run(*words, "--json") for words in looks]

    for one, other in zip(asked, read, strict=True):
        assert (one.err, "no node is running" in other.err) == ("", True)
        told = {**one.document, "read_from": "ledger"}
        if "now" in told:
            assert told["now"]["unreachable"] == []
            told["now"] = None
        assert told == other.document


def test_a_dry_run_changes_nothing(open_shop: Shop) -> None:
    """Every command that changes something can say what it would do."""
    with open_shop.up():
        done(open_shop.run("stage", "promote", "shadow"))
        before = decided(open_shop)
        for words in (
            ["stage", "promote", "read_only"],
            ["stage", "rollback", "off"],
            ["freeze"],
            ["freeze", "--off"],
            ["canary", "set", "customer", "5"],
            ["backfill", "start"],
            ["backfill", "resume"],
            ["verify"],
            ["verify", "--stop"],
            ["quarantine", "waive", "customer", "1"],
            ["quarantine", "retry", "customer", "1"],
            ["dirty", "release", "customer", "1"],
            ["retire"],
        ):
            ended = open_shop.run(*words, "--dry-run", "--json")
            assert "Traceback" not in ended.err
            assert ended.code in (0, 5), (words, ended)
        assert decided(open_shop) == before
        assert open_shop.run("status", "--json").document["holds"] == []


def test_init_writes_what_doctor_accepts(shop: Shop, tmp_path: Path) -> None:
    """From two databases to a definition that finds its tables; never over what is there."""
    (shop.folder / "migration.py").unlink()
    words = ["init", "--legacy-db", "${env:LEGACY_DB}", "--new-db", "${env:NEW_DB}", "--name", "x"]
    dry = shop.run(*words, "--dry-run")
    assert (dry.code, "Migration(" in dry.out) == (0, True)
    assert not (shop.folder / "migration.py").exists()

    ended = shop.run(*words, "--json")

    assert (ended.code, ended.document["entities"]) == (0, ["customer", "order"])
    found = shop.run("doctor", "--json").document["findings"]
    assert {one["what"] for one in found if one["verdict"] == "ok"} >= {
        "definition",
        "customer on legacy",
        "order on new",
    }
    again = shop.run(*words)
    assert (again.code, "not overwritten" in again.error) == (3, True)
    elsewhere = tmp_path / "elsewhere"
    words = ["--legacy-db", "${env:NOT_SET}", "--folder", str(elsewhere)]
    assert "NOT_SET is not set" in shop.run("init", *words).err
    assert "replace this example" in (elsewhere / "migration.py").read_text()
    assert shop.run("init", "--folder", "y", "--legacy-db", "postgresql://a:hidden@h/d").code == 2


def test_the_control_api_keeps_strangers_out(open_shop: Shop) -> None:
    """Without the token, by another name, or with a form, nothing is told."""
    with open_shop.up() as node:
        url = node["control_url"]
        token = (open_shop.folder / ".crossfade" / "token").read_text()
        good = {"Authorization": f"Bearer {token}"}
        assert len(token) == 64
        assert call("GET", f"{url}/v1/status", **good)[1]["stage"] == "off"
        assert call("GET", f"{url}/v1/status")[0] == 401
        assert call("GET", f"{url}/v1/status", **good, Host="evil.example")[0] == 421
        assert call("GET", f"{url}/docs", **good)[0] == 404
        assert call("GET", f"{url}/openapi.json", **good)[0] == 404
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert call("POST", f"{url}/v1/freeze", {"off": True}, **good, **form)[0] == 415
        assert call("POST", f"{url}/v1/freeze", {"of": True}, **good)[0] == 422
        assert call("GET", f"{url}/v1/freeze", **good)[0] in (404, 405)
        wanted = {"wanted": "shadow"}
        refused = call("POST", f"{url}/v1/stage/promote", wanted, **good, **{"If-Match": '"7"'})
        assert (refused[0], refused[1]["exit_code"]) == (412, 5)
        moved = call("POST", f"{url}/v1/stage/promote", wanted, **good, **{"If-Match": '"0"'})
        assert (moved[0], moved[1]["decision"]) == (200, 1)
    assert not (open_shop.folder / ".crossfade" / "token").exists()


CUSTOMER = {"name": "Zoë", "email": "z@example.com", "city": None, "note": "", "credit": "8.50"}


def decided(shop: Shop) -> list[str]:
    """What was done by command, newest first."""
    entries = shop.run("stage", "history", "--json").document["entries"]
    return [one["action"] for one in entries if one["actor"].startswith("cli")]


def done(ended: Ended) -> None:
    """The command did what was asked."""
    assert ended.code == 0, ended


def call(method: str, url: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """One JSON call; any status is an answer."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def wait_for_samples(shop: Shop) -> None:
    """Comparisons are written to the ledger now and then: wait until the gate has seen them."""
    until = time.monotonic() + 30
    while not shop.run("plan", "live", "--json").document["allowed"]:
        assert time.monotonic() < until, shop.run("plan", "live").out
        time.sleep(0.2)
