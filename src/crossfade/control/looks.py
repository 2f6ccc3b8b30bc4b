"""Every use case that a committed ledger alone can answer, by name."""

from collections.abc import Awaitable, Callable

from crossfade.control.documents import Document
from crossfade.control.findings import Findings
from crossfade.control.key_lists import KeyLists
from crossfade.control.progress import Progress
from crossfade.control.standing import Standing
from crossfade.control.telling import Telling

Look = Callable[..., Document | Awaitable[Document]]
"""Asks; its parameters are plain values with their types."""


def ledger_looks(told: Telling) -> dict[str, Look]:
    """The use cases over one ledger, a node's or a reader's."""
    standing, keys = Standing(told), KeyLists(told)
    findings, progress = Findings(told), Progress(told)
    return {
        "status": standing.status,
        "stage": standing.stage,
        "history": standing.history,
        "canary": standing.canary,
        "ledger": standing.ledger,
        "dirty": keys.dirty,
        "quarantine": keys.quarantine,
        "diffs": findings.diffs,
        "diff": findings.diff,
        "backfill": progress.backfill,
        "verification": progress.verification,
    }
