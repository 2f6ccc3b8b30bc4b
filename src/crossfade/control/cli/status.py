"""`crossfade status`: where the migration stands, what is open, what to do next."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.desk import looking
from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import BOLD, RED, YELLOW, harmless, moment, paint, show, table
from crossfade.control.cli.watching import watch
from crossfade.model.counted import counted

FAILURES_SHOWN_MAX = 5

ANSWERS = {
    "off": "legacy answers; new gets nothing yet",
    "read_only": "legacy answers reads; writes are refused",
    "shadow": "legacy answers; new follows every write",
    "live": "new answers; legacy follows every write",
    "completed": "new answers; legacy follows until `crossfade retire`",
}


def status(
    *,
    watching: Annotated[
        bool,
        Parameter(
            name=("--watch", "-w"), negative="", help="Show it again every second until Ctrl-C."
        ),
    ] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Where the migration stands, what is open, and what to do next.

    Asks the running node, else reads the ledger.

    For example:

        crossfade status --watch
    """
    project = Project(everywhere)
    with looking(project) as desk:
        if watching:
            watch(desk, lambda: desk.look("status"), status_lines, json=everywhere.json)
        document = desk.look("status")
        show(document, status_lines(document), json=everywhere.json)


def status_lines(document: dict[str, Any]) -> list[str]:
    """The status as a person reads it."""
    return [
        *_headline(document),
        *_now(document["now"]),
        "",
        *_entities(document),
        "",
        *_open_work(document["totals"]),
        *_differences(document["differences"]),
        *_next(document["next"]),
    ]


def _headline(document: dict[str, Any]) -> Iterator[str]:
    stage = document["stage"]
    answers = "new alone answers, for good" if document["retired"] else ANSWERS[stage]
    yield f"{paint(document['migration'], BOLD)} is in stage {paint(stage, BOLD)}: {answers}."
    since = f" since {moment(document['stage_since'])} UTC" if document["stage_since"] else ""
    yield f"Decision {document['decision']}{since}, epoch {document['epoch']}."
    flip = document["flip"]
    if flip is not None:
        yield paint(
            f"The epoch is changing: {flip['kind']} to {flip['wanted']}, {flip['phase']}.", YELLOW
        )
    for hold in document["holds"]:
        scope = "all writes" if hold["entity"] is None else f"writes of {hold['entity']}"
        yield paint(f"Held: {scope} ({hold['reason']}).", YELLOW)
    if document["lost_side"] is not None:
        yield paint(f"{document['lost_side']} is lost: a forced roll-back left it behind.", YELLOW)


def _now(now: dict[str, Any] | None) -> Iterator[str]:
    """What a running node sees that is wrong at this moment, and what failed lately."""
    if now is None:
        return
    for name in now["unreachable"]:
        yield paint(f"No answer from {name}.", RED)
    for name in now["unprepared"]:
        yield paint(f"{name} lacks crossfade's two tables.", RED)
    if now["ledger_problem"]:
        yield paint(f"Ledger: {harmless(now['ledger_problem'])}", RED)
    if now["failed_answers"]:
        failed = counted(now["failed_answers"], "failed answer")
        yield paint(f"Callers got {failed} in this stage since the node started.", YELLOW)
    yield from _failures(now["failures"])


def _failures(failures: list[dict[str, Any]]) -> Iterator[str]:
    if failures:
        yield "Failed lately:"
    for one in failures[:FAILURES_SHOWN_MAX]:
        yield f"  {moment(one['at'])} UTC  {harmless(one['text'])}"
    left = len(failures) - FAILURES_SHOWN_MAX
    if left > 0:
        yield f"  … and {left} more (`crossfade status --json`)."


def _entities(document: dict[str, Any]) -> list[str]:
    head = ("entity", "copied", "verified", "dirty", "quarantined", "held", "canary", "sure")
    return table(head, [_entity_row(one) for one in document["entities"]])


def _entity_row(entity: dict[str, Any]) -> tuple[object, ...]:
    counts = entity["counts"]
    return (
        entity["name"],
        _copied(entity),
        _verified(entity.get("verification")),
        counts["dirty"],
        counts["quarantined"],
        counts["held"],
        f"{entity['canary_percent']:g} %",
        entity["level"],
    )


def _copied(entity: dict[str, Any]) -> str:
    if entity["covered"]:
        return "yes"
    share = (entity.get("backfill") or {}).get("share")
    if share is not None:
        return f"{share * 100:.0f} %"
    return "partly" if entity["covered_ranges"] else "no"


def _verified(verification: dict[str, Any] | None) -> str:
    if not verification:
        return "no"
    return "yes" if verification.get("passed") else str(verification.get("phase", "no"))


def _open_work(totals: dict[str, Any]) -> Iterator[str]:
    parts = [
        (totals["open_intents"], "write under way", "writes under way"),
        (totals["doubtful_intents"], "write in doubt", "writes in doubt"),
        (totals["dirty"], "dirty key", "dirty keys"),
        (totals["quarantined"], "quarantined key", "quarantined keys"),
        (totals["held"], "held key", "held keys"),
        (totals["open_chunks"], "open chunk", "open chunks"),
    ]
    told = [counted(count, one, several) for count, one, several in parts if count]
    yield f"Open: {', '.join(told)}." if told else "Nothing is open."


def _differences(found: dict[str, Any]) -> Iterator[str]:
    told = f"{found['matched']:,} matched"
    if found["open"]:
        told = f"{told}, {found['open']:,} differed ({counted(found['open_kinds'], 'kind')})"
    elif not found["matched"]:
        told = "none yet"
    yield f"Comparisons: {told}."


def _next(steps: list[dict[str, str]]) -> Iterator[str]:
    yield ""
    yield "Next:"
    for step in steps:
        yield f"  {step['why']}"
        yield f"    {paint(step['command'], BOLD)}"
