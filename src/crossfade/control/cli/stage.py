"""`crossfade stage`: show, promote, roll back, history."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from crossfade.control.cli.choices import actor, stage_of
from crossfade.control.cli.desk import looking, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import harmless, moment, show, table
from crossfade.control.cli.plan import plan_lines
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import MoveAsked
from crossfade.model.counted import counted

app = App(name="stage", help="Show the stage, move forward or back; who did it and why.")

Wanted = Annotated[str, Parameter(help="off, read_only, shadow, live or completed.")]
Budget = Annotated[
    float | None, Parameter(help="Seconds that writers may wait; else the configured ones.")
]
Expected = Annotated[
    int | None, Parameter(help="Number of the decision that you saw; another one refuses.")
]


@app.command(name="show")
def show_stage(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show the stage, and who decided it.

    For example:

        crossfade stage show --json
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("stage")
    show(document, _stage_lines(document), json=everywhere.json)


@app.command
def promote(
    stage: Wanted,
    /,
    *,
    waive: Annotated[
        tuple[str, ...],
        Parameter(help="Gates that may be red, by name; give a --reason.", negative=""),
    ] = (),
    budget: Budget = None,
    expected: Expected = None,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Move forward, if every gate allows it; else say why not yet, and change nothing.

    For example:

        crossfade stage promote shadow --reason "first step"
    """
    asked = MoveAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        wanted=stage_of(stage),
        expected=expected,
        waive=waive,
        budget_seconds=budget,
    )
    return _move("promote", asked, everywhere)


@app.command
def rollback(
    stage: Wanted,
    /,
    *,
    force: Annotated[
        bool,
        Parameter(negative="", help="The authority is dead: go on without it, hold what it had."),
    ] = False,
    budget: Budget = None,
    expected: Expected = None,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Move back; no gate is asked. Nothing is lost where both sides answer.

    For example:

        crossfade stage rollback shadow --reason "checkout is slow"
    """
    asked = MoveAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        wanted=stage_of(stage),
        expected=expected,
        force=force,
        budget_seconds=budget,
    )
    return _move("rollback", asked, everywhere)


@app.command
def history(
    *,
    limit: Annotated[int, Parameter(help="Entries at most.")] = 50,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Who did what, when and why; newest first.

    For example:

        crossfade stage history --limit 10
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("history", limit=limit)
    show(document, _history_lines(document), json=everywhere.json)


def _move(use_case: str, asked: MoveAsked, everywhere: Everywhere) -> ExitCode:
    with working(Project(everywhere)) as desk:
        document = desk.change(use_case, asked)
    if asked.dry_run:
        show(document, plan_lines(document), json=everywhere.json)
        return ExitCode.OK if document["allowed"] else ExitCode.REFUSED
    show(document, _moved_lines(document), json=everywhere.json)
    return ExitCode.OK


def _stage_lines(document: dict[str, Any]) -> Iterator[str]:
    yield document["stage"]
    decision, epoch = document["decision"], document["epoch"]
    yield f"authority {document['authority']}, decision {decision}, epoch {epoch}"
    last = document["last_decision"]
    if last is not None:
        reason = harmless(str(last["detail"].get("reason") or "no reason given"))
        yield f"since {moment(last['at'])} UTC by {harmless(last['actor'])}: {reason}"


def _moved_lines(document: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{document['migration']} moved from {document['current']} to {document['wanted']} "
        f"(decision {document['decision']}, epoch {document['epoch']})."
    )
    if document["pause_ms"]:
        yield f"Writers waited {document['pause_ms']:.0f} ms."
    if document["held_keys"]:
        held = counted(document["held_keys"], "key")
        yield f"Held after the forced roll-back: {held}. See `crossfade dirty --held`."


def _history_lines(document: dict[str, Any]) -> list[str]:
    rows = [
        (moment(entry["at"]), entry["actor"], entry["action"], _detail(entry["detail"]))
        for entry in document["entries"]
    ]
    return table(("when (UTC)", "who", "what", "details"), rows) or ["Nothing has happened yet."]


def _detail(detail: dict[str, Any]) -> str:
    parts = []
    before, after = detail.get("from"), detail.get("to")
    if after is not None and before != after:
        parts.append(f"to {after}" if before is None else f"{before} to {after}")
    parts += [
        f"{name} {_plain(value)}"
        for name, value in detail.items()
        if name not in ("from", "to", "reason") and value not in (None, "", [])
    ]
    if detail.get("reason"):
        parts.append(str(detail["reason"]))
    return "; ".join(parts)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)
