"""The act about new's planted rounding bug: found, shown, in the way, harmless, fixed."""

import re
import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from crossfade.control.client import NodeRefusedError
from crossfade.control.documents import Document
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import DifferenceAsked, MoveAsked
from crossfade.demo.cast import Cast, blocking
from crossfade.demo.node import ACTOR
from crossfade.demo.processes import DemoError
from crossfade.demo.report import ShownDifference

FOUND_SECONDS_MAX = 30.0
SETTLED_SECONDS_MAX = 20.0
CENT = Decimal("0.01")
GROUPS_MAX = 1000
_MONEY = re.compile(r"\.(credit|total|price)$|cents$")


async def close_what_was_not_copied(cast: Cast) -> None:
    """Mark as mended what was seen while new had no data yet; it says nothing of new's code."""
    diffs = await cast.node.look("diffs", limit=GROUPS_MAX)
    closed = [group for group in diffs["groups"] if not is_of_money(group)]
    for group in closed:
        asked = DifferenceAsked(
            actor=ACTOR, reason="new was empty", fingerprint=group["fingerprint"]
        )
        await cast.node.change("resolve_diff", asked)
    cast.record.bug.before_the_copy = sum(group["count"] for group in closed)
    if closed:
        count = cast.record.bug.before_the_copy
        cast.story.tell(f"{count:,} differences from when new was empty are closed")


async def find_bug(cast: Cast) -> None:
    """Wait until replays have met the bug, and show one field of it with both values."""
    cast.story.typed("diffs")
    found: list[ShownDifference] = []

    async def look() -> Document | None:
        diffs = await cast.node.look("diffs", limit=GROUPS_MAX)
        for group in diffs["groups"]:
            shown = await cast.node.look("diff", fingerprint=group["fingerprint"])
            found.extend(lost_cents(shown))
            if found:
                return diffs
        return None

    diffs = await cast.wait_for("a difference of a cent", FOUND_SECONDS_MAX, look)
    cast.record.bug.difference = found[0]
    kinds = len(diffs["groups"])
    cast.story.tell(
        f"new was asked every write too, only to compare: {kinds} kinds of difference so far"
    )
    one = found[0]
    cast.story.tell(f"{one.operation} at {one.path}: legacy {one.legacy}, new {one.new}")


async def be_refused(cast: Cast) -> None:
    """Ask for `live` all the same, and print why not yet."""
    cast.story.typed("stage promote live")

    async def look() -> Document | None:
        plan = await cast.node.look("plan", wanted="live")
        return plan if "mismatches" in names_blocking(plan) else None

    plan = await cast.wait_for("the gate against mismatches", SETTLED_SECONDS_MAX, look)
    try:
        await cast.node.change("promote", MoveAsked(actor=ACTOR, wanted="live"))
    except NodeRefusedError as error:
        if error.exit_code != ExitCode.REFUSED:
            raise
        cast.record.bug.refused = True
    else:
        raise DemoError("new became live though its own writes lose cents.")
    cast.record.bug.reasons = blocking(plan)
    cast.story.tell("refused, and nothing changed:")
    for reason in cast.record.bug.reasons:
        cast.story.tell(f"  {reason}")


async def show_no_harm(cast: Cast) -> None:
    """Tell what the verification found while new was wrong: nothing."""
    bug = cast.record.bug
    told = await cast.node.look("verification")
    verdicts = [entity["verdict"] for entity in told["entities"]]
    bug.keys_verified = sum(verdict["compared"] for verdict in verdicts if verdict)
    bug.keys_different = sum(verdict["different"] for verdict in verdicts if verdict)
    cast.story.tell(
        f"it has cost nothing: of {bug.keys_verified:,} keys verified while new was wrong, "
        f"{bug.keys_different:,} differ, since what a replay left was corrected at once"
    )


async def fix_bug(cast: Cast) -> None:
    """Deploy new's fixed version, and mark what was found as mended."""
    await cast.services.switch_new("fixed")
    switched = time.time()
    cast.story.tell("new now runs its fixed version; what was found is marked as mended:")
    cast.story.typed("diffs resolve …")
    resolved: set[str] = set()

    async def look() -> Document | None:
        diffs = await cast.node.look("diffs", limit=GROUPS_MAX)
        for group in diffs["groups"]:
            fingerprint = group["fingerprint"]
            # A replay that was under way during the switch may still have met the bug.
            if fingerprint in resolved and group["last_at"] > switched + 2:
                raise DemoError(f"the difference of {group['operation']} came back.")
            asked = DifferenceAsked(actor=ACTOR, reason="fixed in new", fingerprint=fingerprint)
            await cast.node.change("resolve_diff", asked)
            resolved.add(fingerprint)
        plan = await cast.node.look("plan", wanted="live")
        against = names_blocking(plan) & {"mismatches", "refused_replays"}
        return plan if not against else None

    await cast.wait_for("a plan without mismatches", SETTLED_SECONDS_MAX, look)
    cast.story.tell(f"{len(resolved)} kinds of difference closed, none is open any more")


async def count_findings(cast: Cast) -> None:
    """Note how many differences were seen in all, and whether the bug has come back."""
    diffs = await cast.node.look("diffs", limit=GROUPS_MAX, resolved=True)
    seen = sum(group["count"] for group in diffs["groups"] if not group["refused"])
    cast.record.mismatches_found = seen - cast.record.bug.before_the_copy
    money = [group for group in diffs["groups"] if is_of_money(group)]
    cast.record.bug.fixed = bool(money) and not any(group["open"] for group in money)
    cast.record.canary_served = canary_reads(diffs)


def canary_reads(diffs: Document) -> int:
    """How many reads new has served so far."""
    return sum(one["total"]["canary_served"] for one in diffs["operations"])


def is_of_money(group: dict[str, Any]) -> bool:
    """Whether a kind of difference is about amounts alone."""
    return bool(group["paths"]) and all(_MONEY.search(path) for path in group["paths"])


def lost_cents(shown: dict[str, Any]) -> Iterator[ShownDifference]:
    """The fields of a difference in which new is one cent short."""
    for sample in shown["samples"]:
        for difference in sample["differences"]:
            values = _money(difference["legacy"]), _money(difference["new"])
            if None not in values and values[0] - values[1] == CENT:  # type: ignore[operator]
                yield ShownDifference(
                    shown["operation"],
                    difference["path"],
                    difference["legacy"],
                    difference["new"],
                )


def _money(shown: str) -> Decimal | None:
    try:
        return Decimal(shown.strip('"'))
    except InvalidOperation:
        return None


def names_blocking(plan: dict[str, Any]) -> set[str]:
    """The gates that are in the way of a planned move."""
    return {gate["name"] for gate in plan["gates"] if not gate["passed"] and not gate["waived"]}
