"""`crossfade status`: where the migration stands, what is open, what to do next."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.desk import looking
from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import BOLD, YELLOW, paint, show, table
from crossfade.control.cli.watching import watch
from crossfade.model.counted import counted

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
    yield f"Decision {document['decision']}, epoch {document['epoch']}."
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
    parts = {
        "writes under way": totals["open_intents"],
        "in doubt": totals["doubtful_intents"],
        "dirty keys": totals["dirty"],
        "quarantined": totals["quarantined"],
        "held": totals["held"],
        "open chunks": totals["open_chunks"],
    }
    told = [f"{count} {name}" for name, count in parts.items() if count]
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
