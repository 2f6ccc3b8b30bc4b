"""`crossfade verify`: compare both sides key by key."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.choices import actor
from crossfade.control.cli.desk import Desk, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import harmless, key_text, note, show, table
from crossfade.control.cli.progress import Bar, follow
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import EntitiesAsked, VerifyAsked
from crossfade.errors import ConfigurationError, CrossfadeError
from crossfade.model.verification_way import AskedWay

KEYS_SHOWN_MAX = 10


def verify(  # noqa: PLR0913 - one for each word of the command line
    *entities: Annotated[str, Parameter(help="Entities; else all of them.")],
    fraction: Annotated[
        float, Parameter(help="Share of the keys, such as 0.1; the same share is the same keys.")
    ] = 1.0,
    exact: Annotated[
        bool, Parameter(negative="", help="Read every record; else only what digests leave open.")
    ] = False,
    fast: Annotated[
        bool, Parameter(negative="", help="Refuse to read every record where digests cannot tell.")
    ] = False,
    stop: Annotated[bool, Parameter(negative="", help="End the one that is under way.")] = False,
    detach: Annotated[
        bool, Parameter(negative="", help="Do not wait; the running node goes on alone.")
    ] = False,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Compare the mapped fields of every key on both sides.

    The databases add up digests of their rows where they can, and records are read only where the
    sums differ; the verdict is the same as that of --exact, and says which way was taken.

    Ends with 6 where keys differ that were known to agree: an alarm, somebody writes behind our
    back. They become dirty and are copied again.

    For example:

        crossfade verify customer --fraction 0.1
    """
    asked = VerifyAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entities=entities,
        fraction=fraction,
        way=_way(exact=exact, fast=fast),
    )
    with working(Project(everywhere)) as desk:
        if stop:
            ending = EntitiesAsked(actor=asked.actor, reason=asked.reason, dry_run=asked.dry_run)
            document = desk.change("stop_verification", ending)
        else:
            document = desk.change("start_verification", asked)
        if stop or deciding.dry_run or detach:
            show(document, [document["summary"]], json=everywhere.json)
            return ExitCode.OK
        document = _followed(desk)
    show(document, _lines(document), json=everywhere.json)
    return _end(document)


def _way(*, exact: bool, fast: bool) -> AskedWay:
    if exact and fast:
        raise ConfigurationError("--exact and --fast exclude each other. Give one of them.")
    if exact:
        return AskedWay.EXACT
    return AskedWay.FAST if fast else AskedWay.BEST


def _followed(desk: Desk) -> dict[str, Any]:
    try:
        follow(desk, lambda: _progress(desk.look("verification")))
    except KeyboardInterrupt:
        note(
            "a running node goes on with it (`crossfade verify --stop` ends it); without one "
            "`crossfade verify` begins anew"
        )
        raise
    return desk.look("verification")


def _progress(document: dict[str, Any]) -> tuple[bool, list[Bar]]:
    bars = [
        Bar(
            one["name"],
            one["progress"]["compared"],
            one["progress"]["rows_estimate"],
            one["progress"]["rows_per_second"],
            one["progress"]["eta_seconds"],
            one["progress"]["waits_for"],
        )
        for one in document["entities"]
        if one["progress"] is not None
    ]
    return document["job"]["state"] != "running", bars


def _lines(document: dict[str, Any]) -> Iterator[str]:
    wanted = document["job"]["entities"]
    verdicts = [
        (one["name"], one["verdict"])
        for one in document["entities"]
        if one["name"] in wanted and one["verdict"] is not None
    ]
    head = ("entity", "verdict", "way", "compared", "different", "lagging", "quarantined")
    yield from table(
        head,
        [
            (
                name,
                "passed" if verdict["passed"] else "not passed",
                verdict["way"],
                f"{verdict['compared']:,}",
                verdict["different"],
                verdict["lagging"],
                verdict["quarantined"],
            )
            for name, verdict in verdicts
        ],
    )
    for name, verdict in verdicts:
        if verdict["passed"]:
            continue
        yield f"{name}: {harmless(verdict['reason'] or 'see above')}"
        if verdict["different"]:
            columns = ", ".join(f"{column} ({n})" for column, n in verdict["columns"].items())
            keys = [key_text(key) for key in verdict["alarm_keys"][:KEYS_SHOWN_MAX]]
            yield f"  columns {harmless(columns)}; keys such as {harmless(', '.join(keys))}"
            yield "  They are copied again by themselves; find who writes behind our back."


def _end(document: dict[str, Any]) -> ExitCode:
    job = document["job"]
    if job["error"] is not None:
        error = CrossfadeError(job["error"])
        error.exit_code = job["exit_code"]
        raise error
    if job["state"] == "stopped":
        return ExitCode.PARTIAL
    wanted = set(job["entities"])
    verdicts = [one["verdict"] for one in document["entities"] if one["name"] in wanted]
    if any(verdict is not None and verdict["different"] for verdict in verdicts):
        return ExitCode.DIFFERENCES
    passed = all(verdict is not None and verdict["passed"] for verdict in verdicts)
    return ExitCode.OK if passed else ExitCode.PARTIAL
