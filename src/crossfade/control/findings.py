"""Differences that comparisons and replays found: shown, and marked as mended."""

from dataclasses import asdict
from functools import partial

from crossfade.control.documents import Document
from crossfade.control.requests import DifferenceAsked
from crossfade.control.telling import Telling, bounded
from crossfade.errors import ConfigurationError
from crossfade.execution.observations import Observations
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.moves import Decision, audit
from crossfade.ledger.transitions.observations import mismatch_groups, observed_operations
from crossfade.model.counted import counted
from crossfade.model.observation import MismatchGroup
from crossfade.seams.clock import Clock


class Findings:
    """What was found, told from a committed ledger alone."""

    def __init__(self, told: Telling) -> None:
        self._told = told

    def diffs(self, limit: int = 50, *, resolved: bool = False) -> Document:
        """Kinds of difference, most frequent first; `resolved`: those that were mended too."""

        def query(rows: RowsQueries) -> Document:
            groups = mismatch_groups(rows, resolved=resolved)
            return self._told.document(
                "diffs",
                open=sum(1 for group in groups if group.open),
                groups=[_of_group(group) for group in groups[: bounded(limit)]],
                operations=[asdict(one) for one in observed_operations(rows)],
            )

        return self._told.look(query)

    def diff(self, fingerprint: str) -> Document:
        """One kind of difference with its samples; the first digits are enough.

        Raises:
            ConfigurationError: none has such a fingerprint, or several have.

        """
        group = self._told.look(partial(find_group, text=fingerprint))
        samples = [asdict(sample) for sample in group.samples]
        return self._told.document("diff", **_of_group(group), samples=samples)


class Mending:
    """Marking differences as mended, on a node."""

    def __init__(
        self, observations: Observations, ledger: Ledger, told: Telling, clock: Clock
    ) -> None:
        self._observations = observations
        self._ledger = ledger
        self._told = told
        self._clock = clock

    async def resolve_diff(self, asked: DifferenceAsked) -> Document:
        """The cause is mended: the gates count from now on; a new find opens it again.

        Raises:
            ConfigurationError: none has such a fingerprint, or several have.

        """
        await self._observations.flush()
        group = self._told.look(partial(find_group, text=asked.fingerprint))
        place = f"{group.operation} at {', '.join(group.paths)}"
        if not asked.dry_run:
            await self._observations.resolve_group(group.fingerprint)
            # Crash here: it is mended all the same, and only the history does not say by whom.
            await self._note(asked, group)
        verb = " (not yet, this only says so)" if asked.dry_run else ""
        summary = f"Marked as mended{verb}: {counted(group.open, 'difference')} of {place}."
        return self._told.document(
            "diff", **_of_group(group), dry_run=asked.dry_run, summary=summary
        )

    async def _note(self, asked: DifferenceAsked, group: MismatchGroup) -> None:
        decision = Decision(asked.actor, asked.reason, self._clock.now().timestamp())
        detail: dict[str, object] = {
            "fingerprint": group.fingerprint, "operation": group.operation,
        }  # fmt: skip
        note = partial(audit, decision=decision, action="difference mended", detail=detail)
        await self._ledger.transact(note)


def find_group(rows: RowsQueries, text: str) -> MismatchGroup:
    """The group whose fingerprint begins so. Raises ConfigurationError."""
    found = [
        group
        for group in mismatch_groups(rows, resolved=True)
        if text and group.fingerprint.startswith(text)
    ]
    if len(found) != 1:
        raise ConfigurationError(
            f'the fingerprint "{text}" names {counted(len(found), "kind")} of difference. '
            "Run `crossfade diffs` for theirs."
        )
    return found[0]


def _of_group(group: MismatchGroup) -> Document:
    content = asdict(group)
    del content["samples"]
    return content
