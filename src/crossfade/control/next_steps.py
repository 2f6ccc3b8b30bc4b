"""What to do next, and which command does it: the last lines of `status`."""

from typing import Any

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
    return [*_wrong(status), *_forward(status)]


def _wrong(status: dict[str, Any]) -> list[Step]:
    steps = []
    totals = status["totals"]
    if status["lost_side"] is not None:
        side = status["lost_side"]
        why = f"{side} was lost in a forced roll-back; {totals['held']} keys are held."
        steps.append(_step(why, "crossfade dirty --held"))
    if status["frozen"]:
        steps.append(_step("Writes are frozen.", "crossfade freeze --off"))
    if totals["quarantined"]:
        why = f"{totals['quarantined']} keys cannot converge and block the cut-over."
        steps.append(_step(why, "crossfade quarantine list"))
    if status["differences"]["open"]:
        kinds = status["differences"]["open_kinds"]
        why = f"{kinds} kinds of difference between the sides are open."
        steps.append(_step(why, "crossfade diffs"))
    if totals["doubtful_intents"]:
        why = f"{totals['doubtful_intents']} writes have no known outcome yet; they settle."
        steps.append(_step(why, "crossfade status --watch"))
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


def _step(why: str, command: str) -> Step:
    return {"why": why, "command": command}
