"""The use cases of a node, by name: what API and command line offer; no rule of its own."""

from collections.abc import Awaitable, Callable

from crossfade.assembly import Node
from crossfade.control.copying import Copying
from crossfade.control.documents import Document
from crossfade.control.findings import Mending
from crossfade.control.health import Health
from crossfade.control.key_cases import KeyCases
from crossfade.control.looks import Look, ledger_looks
from crossfade.control.moves import Moves
from crossfade.control.outline import Outline
from crossfade.control.standing import Standing
from crossfade.control.telling import Telling
from crossfade.control.verifying import Verifying

Change = Callable[..., Awaitable[Document]]
"""Changes; takes one request (`crossfade.control.requests`)."""


class Service:
    """Every use case of one node."""

    def __init__(self, node: Node, outline: Outline) -> None:
        ledger, clock = node.ledger, node.seams.clock
        told = Telling(ledger, outline, read_from="node")
        moves = Moves(node.stages, ledger, node.canary, outline, clock)
        keys = KeyCases(ledger, node.sides, node.convergence, node.stages, outline, clock)
        copying = Copying(ledger, node.backfill, told, clock)
        verifying = Verifying(node.verifier, ledger, told, node.seams.tasks, clock)
        mending = Mending(node.observations, ledger, told, clock)
        self.looks: dict[str, Look] = {
            **ledger_looks(told),
            "status": Health(
                Standing(told), node.gatherer, ledger, node.failures, node.recent
            ).status,
            "plan": moves.plan,
            "backfill": copying.backfill,
            "verification": verifying.verification,
        }
        self.changes: dict[str, Change] = {
            "promote": moves.promote,
            "rollback": moves.rollback,
            "freeze": moves.freeze,
            "set_canary": moves.set_canary,
            "start_backfill": copying.start_backfill,
            "pause_backfill": copying.pause_backfill,
            "start_verification": verifying.start_verification,
            "stop_verification": verifying.stop_verification,
            "repair": keys.repair,
            "resolve_diff": mending.resolve_diff,
            "release": keys.release,
            "waive": keys.waive,
            "retry": keys.retry,
            "retire": moves.retire,
        }
