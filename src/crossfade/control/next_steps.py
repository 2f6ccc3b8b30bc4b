"""What to do next, and which command does it: the last lines of `status`."""

from typing import Any

from crossfade.model.counted import counted

Step = dict[str, str]
"""`why`, in a sentence, and `command`, ready to be typed."""


def next_steps(status: dict[str, Any]) -> list[Step]:
    """The steps that a status asks for: first what is wrong, then the way forward.

    Args:
        status: the document, without its `next`.

    """
    if status["retired"]:
        return [
            _step("The migration is retired: nothing is left to do.", "crossfade stage history")
        ]
    failing = _failing(status["now"] or {})
    # Whoever cannot be reached comes first; nobody should move on meanwhile.
    forward = [] if failing else _forward(status)
    return [*failing, *_wrong(status), *forward]


def _failing(now: dict[str, Any]) -> list[Step]:
    """What a node sees that does not work at this moment."""
    steps = []
    if now.get("unreachable"):
        why = f"No answer from {', '.join(now['unreachable'])}."
        steps.append(_step(why, "crossfade doctor"))
    if now.get("unprepared"):
        why = f"Crossfade's two tables are missing in {', '.join(now['unprepared'])}."
        steps.append(_step(why, "crossfade doctor --apply"))
    if now.get("ledger_problem"):
        why = "The ledger cannot be written, so no write is accepted: see to its disk."
        steps.append(_step(why, "crossfade doctor"))
    return steps


def _wrong(status: dict[str, Any]) -> list[Step]:
    steps = []
    totals = status["totals"]
    if status["lost_side"] is not None or totals["held"]:
        held = counted(totals["held"], "key")
        lost = status["lost_side"] or "A side"
        why = f"{lost} was lost in a forced roll-back; held since: {held}."
        steps.append(_step(why, "crossfade dirty --held"))
    if status["frozen"]:
        steps.append(_step("Writes are frozen.", "crossfade freeze --off"))
    if totals["quarantined"]:
        many = counted(totals["quarantined"], "key")
        why = f"Cannot converge, and in the way of a cut-over: {many}."
        steps.append(_step(why, "crossfade quarantine list"))
    if status["differences"]["open"]:
        kinds = counted(status["differences"]["open_kinds"], "kind")
        why = f"Open: {kinds} of difference between the sides."
        steps.append(_step(why, "crossfade diffs"))
    if totals["doubtful_intents"]:
        writes = counted(totals["doubtful_intents"], "write")
        why = f"In doubt: {writes} without a known outcome yet; such writes settle by themselves."
        steps.append(_step(why, "crossfade status --watch"))
    alarms = {one["name"]: _alarms(one) for one in status["entities"] if _alarms(one)}
    if alarms:
        told = ", ".join(f"{counted(count, 'key')} of {name}" for name, count in alarms.items())
        why = f"Alarm: {told} differed though nothing we know of wrote there."
        steps.append(_step(f"{why} Find the writer, then verify.", "crossfade verify"))
    return steps


def _forward(status: dict[str, Any]) -> list[Step]:
    stage = status["stage"]
    if stage == "off":
        why = "Every write goes to legacy alone; shadow lets new follow."
        return [_step(why, "crossfade stage promote shadow")]
    if not status["barrier_passed"]:
        why = "Writes from before may still be under way; copying begins when they have ended."
        return [_step(why, "crossfade status --watch")]
    uncovered = [one["name"] for one in status["entities"] if not one["covered"]]
    if uncovered:
        why = f"Not completely copied: {', '.join(uncovered)}."
        return [_step(why, "crossfade backfill start")]
    return _onward(stage, status)


def _onward(stage: str, status: dict[str, Any]) -> list[Step]:
    if stage == "completed":
        why = "New has taken over and legacy still follows; this ends that, for good."
        return [_step(why, "crossfade retire")]
    if stage == "live":
        why = "New answers; legacy follows, so that you can roll back."
        return [_step(why, "crossfade stage promote completed")]
    if stage == "read_only":
        return [_step("Everything is copied.", "crossfade stage promote shadow")]
    unverified = [one["name"] for one in status["entities"] if not _verified(one)]
    if unverified:
        why = f"Copied, and not yet verified: {', '.join(unverified)}."
        return [_step(why, "crossfade verify")]
    return [_step("Copied and verified: see whether every gate is green.", "crossfade plan live")]


def _verified(entity: dict[str, Any]) -> bool:
    verification = entity.get("verification")
    return bool(verification and verification.get("passed"))


def _alarms(entity: dict[str, Any]) -> int:
    return int((entity.get("verification") or {}).get("different") or 0)


def _step(why: str, command: str) -> Step:
    return {"why": why, "command": command}
