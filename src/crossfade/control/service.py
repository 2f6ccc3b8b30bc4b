"""The use cases of a node, by name: what API and command line offer; no rule of its own."""

from collections.abc import Awaitable, Callable

from crossfade.assembly import Node
from crossfade.control.documents import Document
from crossfade.control.key_cases import KeyCases
from crossfade.control.moves import Moves
from crossfade.control.outline import Outline
from crossfade.control.telling import Telling

Look = Callable[..., Document | Awaitable[Document]]
"""Asks; its parameters are plain values with their types."""
Change = Callable[..., Awaitable[Document]]
"""Changes; takes one request (`crossfade.control.requests`)."""


class Service:
    """Every use case of one node."""

    def __init__(self, node: Node, outline: Outline) -> None:
        ledger, clock = node.ledger, node.seams.clock
        told = Telling(ledger, outline, read_from="node")
        moves = Moves(node.stages, ledger, node.canary, outline, clock)
        keys = KeyCases(ledger, node.sides, node.convergence, node.stages, outline, clock)
        self.looks: dict[str, Look] = {
            "status": reading.status,
            "stage": reading.stage,
            "history": reading.history,
            "plan": moves.plan,
            "canary": reading.canary,
            "dirty": reading.dirty,
            "quarantine": reading.quarantine,
            "ledger": reading.ledger,
        }
        self.changes: dict[str, Change] = {
            "promote": moves.promote,
            "rollback": moves.rollback,
            "freeze": moves.freeze,
            "set_canary": moves.set_canary,
            "repair": keys.repair,
            "release": keys.release,
            "waive": keys.waive,
            "retry": keys.retry,
            "retire": moves.retire,
        }
