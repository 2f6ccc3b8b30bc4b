"""Moves where other processes share the ledger: they are waited for, and left to end their own."""

from collections.abc import Sequence
from functools import partial

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.nodes import NodeSeen, SingleNode
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.flips import begin_flip
from crossfade.model.key import Key
from crossfade.model.stage import Stage
from crossfade.observability.events import WorkerFailed
from crossfade.stages.pace import Pace
from crossfade.stages.shared_pace import PACES, SharedPace
from crossfade.stages.shared_work import SharedWork
from tests.builders import ANSWERS_WITHIN_SECONDS, DECISION, Node, make_node
from tests.settling import start_shadow

KEY: Key = (1,)
ROUTE_SECONDS = 0.5


class Others(SingleNode):
    """Other processes, as a test sets them."""

    name = "me"

    def __init__(self, *seen: NodeSeen) -> None:
        self.seen: Sequence[NodeSeen] = seen
        self.works = True
        self.living = {one.node for one in seen}
        self.found_dead = 0
        self.asked = 0

    def is_elsewhere(self, node: str) -> bool:
        """See `Nodes.is_elsewhere`."""
        return node in self.living

    def others(self) -> Sequence[NodeSeen]:
        """See `Nodes.others`."""
        self.asked += 1
        return self.seen

    def dead(self) -> int:
        """See `Nodes.dead`."""
        return self.found_dead


def _seen(*, behind: bool, untracked: bool = False) -> NodeSeen:
    return NodeSeen("other", 0.0, behind, untracked, serving=True, route_seconds=ROUTE_SECONDS)


async def _flipped_in(node: Node, others: Others, wanted: Stage = Stage.LIVE) -> float:
    node.flipper.nodes = others
    began = node.world.clock.monotonic()
    await node.finish(node.flipper.flip(wanted, DECISION, 5.0))
    assert node.ledger.migration.stage is wanted
    return node.world.clock.monotonic() - began


async def test_a_flip_waits_for_a_silent_process_as_long_as_it_may_route() -> None:
    """It may answer by what it knew: the authority changes only when it may do so no more."""
    node = await start_shadow(values={KEY: "x"})

    assert await _flipped_in(node, Others(_seen(behind=True))) >= ROUTE_SECONDS


async def test_a_flip_does_not_wait_for_those_who_know() -> None:
    """They ask the ledger for every request until it is over."""
    node = await start_shadow(values={KEY: "x"})
    others = Others(_seen(behind=False))

    assert await _flipped_in(node, others) < ROUTE_SECONDS / 2
    assert others.asked > 0


async def test_a_forced_flip_waits_likewise() -> None:
    """A write that was told as done by what was known before would be lost."""
    node = await start_shadow(values={KEY: "x"})
    await _flipped_in(node, Others(_seen(behind=False)))
    node.flipper.nodes = Others(_seen(behind=True))
    began = node.world.clock.monotonic()

    reachable = node.ledger.migration.mirror
    await node.finish(node.flipper.force(Stage.SHADOW, DECISION, reachable))

    assert node.world.clock.monotonic() - began >= ROUTE_SECONDS


async def test_a_flip_of_a_living_process_is_its_own_to_end() -> None:
    """Neither a start nor the watch touches it; when its process is dead it is undone."""
    node = await start_shadow(values={KEY: "x"})
    others = Others(_seen(behind=False))
    node.watch.share(others)
    decision = DECISION.__class__("anna", "a test", 1.0, node="other")
    flip = await node.ledger.transact(partial(begin_flip, wanted=Stage.LIVE, decision=decision))

    assert await node.finish(node.watch.mend())
    await node.finish(node.watch.step())
    assert node.ledger.look(lambda rows: rows.migration()).flip == flip
    others.living.clear()
    await node.finish(node.watch.step())
    assert node.ledger.look(lambda rows: rows.migration()).flip is None


async def test_the_barrier_waits_for_what_others_have_under_way() -> None:
    """For those who do not know yet, those who write still, and the calls of the dead."""
    node = make_node()
    others = Others(_seen(behind=True))
    node.watch.share(others)
    await node.move(Stage.SHADOW)

    assert not await node.finish(node.barrier.step())
    assert "other" in str(node.barrier.waits_for())
    others.seen = [_seen(behind=False, untracked=True)]
    assert not await node.finish(node.barrier.step())
    others.seen, others.found_dead = [], 1
    assert not await node.finish(node.barrier.step())
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS)
    assert await node.finish(node.barrier.step())


async def test_a_process_found_dead_while_the_barrier_looks_is_waited_for() -> None:
    """It is in the list of the living or among the dead, whenever it is taken from the one."""
    node = make_node()
    others = Others(_seen(behind=False, untracked=True))
    node.watch.share(others)
    await node.move(Stage.SHADOW)

    class Evicting(Others):
        """Another process takes it for dead after this one has asked for the dead."""

        def dead(self) -> int:
            found = others.found_dead
            others.seen, others.found_dead = [], 1
            return found

    others.__class__ = Evicting

    assert not await node.finish(node.barrier.step())
    assert not await node.finish(node.barrier.step())
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS)
    assert await node.finish(node.barrier.step())


async def test_a_worker_that_a_ledger_has_ended_begins_again() -> None:
    """The ledger did not answer for a moment: that must not be the end of copying."""
    node = make_node()
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise LedgerUnavailableError("the ledger does not answer")
        await node.seams.clock.sleep(1000.0)

    async def nothing() -> None:
        pass

    shared = SharedWork(
        Others(), {"backfill": work}, nothing, lambda: None, node.hooks, node.seams
    )
    task = node.seams.tasks.spawn(shared.run(), name="shared")
    await node.finish(node.seams.clock.sleep(2.0))

    task.cancel()
    await node.tasks.cancel_all()
    assert begun == [0, 1]
    assert node.events_of(WorkerFailed) == [WorkerFailed("backfill", "the ledger does not answer")]


async def test_only_the_process_that_works_runs_the_workers() -> None:
    """It begins when the work is its own, ends when it is not, and looks after itself always."""
    node = make_node()
    others, running, own = Others(), list[str](), list[str]()
    others.works = False

    async def work() -> None:
        running.append("begun")
        try:
            await node.seams.clock.sleep(1000.0)
        finally:
            running.append("ended")

    async def look_after_own() -> None:
        own.append("round")

    shared = SharedWork(
        others, {"work": work}, look_after_own, lambda: None, node.hooks, node.seams
    )
    task = node.seams.tasks.spawn(shared.run(), name="shared")
    await node.finish(node.seams.clock.sleep(1.0))
    assert (running, len(own) > 1) == ([], True)
    others.works = True
    await node.finish(node.seams.clock.sleep(1.0))
    assert running == ["begun"]
    others.works = False
    await node.finish(node.seams.clock.sleep(1.0))
    assert running == ["begun", "ended"]
    others.works = True
    await node.finish(node.seams.clock.sleep(1.0))
    task.cancel()
    await node.tasks.cancel_all()
    assert running == ["begun", "ended"] * 2


async def test_the_pace_of_all_processes_that_live_adds_up() -> None:
    """Each tells its own when it is news; what a dead one has told is forgotten."""
    node = make_node()
    cleaned = 0
    others = Others(_seen(behind=False))
    name = others.seen[0].node
    pace = Pace(node.world.clock, lambda: cleaned)
    shared = SharedPace(node.ledger, others, pace, node.world.clock)
    pace.sample()

    node.world.clock.jump(10.0)
    cleaned = 200
    await node.finish(shared.tell())
    assert dict(node.ledger.look(lambda rows: rows.documents(PACES))) == {"me": 20.0}
    assert node.ledger.look(shared.of_others) == 0.0
    for one, per_second in ((name, 5.0), ("dead", 7.0)):
        tell = partial(_set_pace, name=one, per_second=per_second)
        await node.finish(node.ledger.transact(tell))
    assert node.ledger.look(shared.of_others) == 5.0

    await node.finish(shared.tell())

    told = dict(node.ledger.look(lambda rows: rows.documents(PACES)))
    assert told == {"me": 20.0, name: 5.0}


def _set_pace(rows: Rows, *, name: str, per_second: float) -> None:
    rows.set_document(PACES, name, per_second)
