"""`crossfade backfill`: copy what was there before."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from crossfade.control.cli.choices import actor
from crossfade.control.cli.desk import Desk, looking, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import note, show, table
from crossfade.control.cli.progress import Bar, follow
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import BackfillAsked, EntitiesAsked

app = App(name="backfill", help="Copy what was there before; goes on wherever it stopped.")

Entities = Annotated[str, Parameter(help="Entities; else all of them.")]


@app.command
def start(
    *entities: Entities,
    rows_per_second: Annotated[
        float | None, Parameter(help="At most so many rows per second; else no limit.")
    ] = None,
    detach: Annotated[
        bool, Parameter(negative="", help="Do not wait; the running node goes on alone.")
    ] = False,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Copy all records of entities, in chunks, while traffic flows; or go on where it stopped.

    Rows that cannot be copied are quarantined, never dropped: then it ends with 7. Ctrl-C leaves
    everything as far as it came.

    For example:

        crossfade backfill start --rows-per-second 2000
    """
    asked = BackfillAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entities=entities,
        rows_per_second_max=rows_per_second,
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("start_backfill", asked)
        if deciding.dry_run or detach:
            show(document, [document["summary"]], json=everywhere.json)
            return ExitCode.OK
        wanted = set(entities) or set(document["sweeps"])
        _follow(desk, wanted)
        document = desk.look("backfill")
    show(document, backfill_lines(document), json=everywhere.json)
    return _end(document, wanted)


@app.command
def pause(
    *entities: Entities, deciding: Deciding = DECIDING, everywhere: Everywhere = EVERYWHERE
) -> None:
    """Copy nothing more until it is started again; the chunk under way is finished.

    For example:

        crossfade backfill pause order
    """
    _change("pause_backfill", entities, deciding, everywhere)


@app.command
def resume(
    *entities: Entities, deciding: Deciding = DECIDING, everywhere: Everywhere = EVERYWHERE
) -> None:
    """Let the running node go on with what was paused, and return at once.

    For example:

        crossfade backfill resume order
    """
    asked = BackfillAsked(
        actor=actor(), reason=deciding.reason, dry_run=deciding.dry_run, entities=entities
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("start_backfill", asked)
    show(document, [document["summary"]], json=everywhere.json)


@app.default
@app.command
def status(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """How far each entity is copied, how fast, and what it waits for.

    For example:

        crossfade backfill status
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("backfill")
    show(document, backfill_lines(document), json=everywhere.json)


def _change(
    use_case: str, entities: tuple[str, ...], deciding: Deciding, everywhere: Everywhere
) -> None:
    asked = EntitiesAsked(
        actor=actor(), reason=deciding.reason, dry_run=deciding.dry_run, entities=entities
    )
    with working(Project(everywhere)) as desk:
        document = desk.change(use_case, asked)
    show(document, [document["summary"]], json=everywhere.json)


def _follow(desk: Desk, wanted: set[str]) -> None:
    try:
        follow(desk, lambda: _progress(desk.look("backfill"), wanted))
    except KeyboardInterrupt:
        note(
            "a running node goes on with it (`crossfade backfill pause` stops it); without one "
            "`crossfade backfill start` goes on from here"
        )
        raise


def _progress(document: dict[str, Any], wanted: set[str]) -> tuple[bool, list[Bar]]:
    swept = [
        (one["name"], one["sweep"])
        for one in document["entities"]
        if one["name"] in wanted and one["sweep"] is not None
    ]
    bars = [
        Bar(
            name,
            sweep["rows"],
            sweep["rows_estimate"],
            sweep.get("rows_per_second") or 0.0,
            sweep.get("eta_seconds"),
            sweep.get("waits_for"),
        )
        for name, sweep in swept
    ]
    return all(sweep["state"] != "running" for _, sweep in swept), bars


def backfill_lines(document: dict[str, Any]) -> Iterator[str]:
    """The sweeps as a person reads them."""
    rows = []
    for one in document["entities"]:
        sweep = one["sweep"] or {}
        estimate = sweep.get("rows_estimate", 0)
        rows.append(
            (
                one["name"],
                sweep.get("state", "not asked for"),
                "yes" if one["covered"] else "no",
                f"{min(sweep.get('rows', 0), estimate):,} of {estimate:,}",
                sweep.get("quarantined", 0),
                sweep.get("extra", 0),
                sweep.get("waits_for") or "",
            )
        )
    head = ("entity", "sweep", "copied", "rows", "quarantined", "extra", "waits for")
    yield from table(head, rows)


def _end(document: dict[str, Any], wanted: set[str]) -> ExitCode:
    """7 where rows could not be copied, or the sweep was paused by somebody."""
    for one in document["entities"]:
        sweep = one["sweep"]
        if one["name"] not in wanted or sweep is None:
            continue
        if sweep["quarantined"] or sweep["state"] != "done":
            return ExitCode.PARTIAL
    return ExitCode.OK
