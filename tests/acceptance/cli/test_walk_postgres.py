"""The same walks with the commands, on a ledger in PostgreSQL."""

import signal
import time

import pytest

from tests.acceptance.cli import test_walk
from tests.acceptance.cli.shop import Shop
from tests.acceptance.cli.test_walk import call, done

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def shared_shop(open_shop: Shop, postgres_url: str) -> Shop:
    """A shop whose ledger several processes may open."""
    open_shop.environment["CROSSFADE_LEDGER"] = f"{postgres_url}?schema=crossfade"
    return open_shop


def test_a_migration_on_a_shared_ledger(shared_shop: Shop) -> None:
    """From an empty folder to `retire`."""
    test_walk.test_a_migration_from_shadow_to_retired(shared_shop)


def test_looks_with_and_without_a_node(shared_shop: Shop) -> None:
    """Read from the ledger alone, and told by a node."""
    test_walk.test_the_same_documents_with_and_without_a_node(shared_shop)


def test_doctor_and_ledger_tell_where_it_is(shared_shop: Shop) -> None:
    """Without what may be secret; before and after it was made."""
    before = shared_shop.run("doctor", "--json").document["findings"]
    assert any("not there yet" in str(one) for one in before)
    with shared_shop.up():
        done(shared_shop.run("stage", "promote", "shadow"))
    found = shared_shop.run("doctor", "--json").document["findings"]
    (ledger,) = [one for one in found if one["what"] == "ledger"]
    shown = shared_shop.run("ledger", "show")

    assert ledger["verdict"] == "ok"
    assert "?schema=crossfade" in shown.out
    assert "postgres@" not in shown.out + str(ledger)
    assert shared_shop.run("status", "--json").document["stage"] == "shadow"
    adopted = shared_shop.run("ledger", "adopt", shared_shop.run(
        "ledger", "show", "--json"
    ).document["ledger_id"])  # fmt: skip
    done(adopted)


def test_a_command_moves_the_stage_beside_a_node(shared_shop: Shop) -> None:
    """A node runs elsewhere, and this folder does not know: both go by the same ledger."""
    shared_shop.add_customers(5)
    with shared_shop.up() as node:
        (shared_shop.folder / ".crossfade" / "node.json").unlink()
        done(shared_shop.run("stage", "promote", "shadow"))
        done(shared_shop.run("backfill", "start"))
        answer = call("PUT", f"{node['gateway_url']}/customers/1", test_walk.CUSTOMER)
        assert answer[0] == 200
        status = shared_shop.run("status", "--json").document
        assert (status["stage"], status["read_from"]) == ("shadow", "ledger")


def test_a_flip_whose_process_was_killed_is_ended_by_another(shared_shop: Shop) -> None:
    """Writers are held by a dead process: the node finds it dead, and undoes what it began."""
    shared_shop.add_customers(5)
    shared_shop.environment["CROSSFADE_SHARED_LEDGER__DEAD_SECONDS"] = "4"
    with shared_shop.up() as node:
        customer = f"{node['gateway_url']}/customers/1"
        done(shared_shop.run("stage", "promote", "shadow"))
        done(shared_shop.run("backfill", "start"))
        done(shared_shop.run("verify"))
        (shared_shop.folder / ".crossfade" / "node.json").unlink()
        shared_shop.environment["CROSSFADE_FAILPOINTS"] = "flip.holding"
        waived = ["--waive", "sample", "--reason", "a test"]
        died = shared_shop.finish(shared_shop.start("stage", "promote", "live", *waived))
        del shared_shop.environment["CROSSFADE_FAILPOINTS"]
        assert died.code == -signal.SIGKILL, died
        assert shared_shop.run("status", "--json").document["flip"] is not None

        until = time.monotonic() + 40
        while call("PUT", customer, test_walk.CUSTOMER)[0] != 200:
            assert time.monotonic() < until, "writers are held for ever"
        status = shared_shop.run("status", "--json").document
        assert (status["stage"], status["flip"]) == ("shadow", None)
