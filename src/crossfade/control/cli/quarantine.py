"""`crossfade quarantine`: keys that cannot converge; try again, or let the cut-over pass them."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from crossfade.control.cli.choices import actor, keys_of
from crossfade.control.cli.desk import looking, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import key_text, moment, show, table
from crossfade.control.cli.repair import outcome_lines
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import KeysAsked

app = App(name="quarantine", help="Keys that cannot converge, and why.")

EntityName = Annotated[str, Parameter(help="The entity's name.")]
Keys = Annotated[str, Parameter(help='Keys: 17, or ["de",17].')]


@app.default
@app.command(name="list")
def list_quarantine(
    *,
    entity: Annotated[str | None, Parameter(help="Only keys of this entity.")] = None,
    limit: Annotated[int, Parameter(help="Keys at most.")] = 100,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List the keys that cannot converge: the mirror refuses them, or they cannot be mapped.

    For example:

        crossfade quarantine list --entity order
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("quarantine", entity=entity, limit=limit)
    show(document, _lines(document), json=everywhere.json)


@app.command
def waive(
    entity: EntityName,
    /,
    *keys: Keys,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Let the cut-over pass these keys, by name; their record stays only on the side that has it.

    After the cut-over new's word counts: `repair` of such a key copies new's absence over legacy's
    record. Keep what you need of it elsewhere first.

    For example:

        crossfade quarantine waive customer 17 --reason "test customer"
    """
    asked = _asked(entity, keys, deciding, every=False)
    with working(Project(everywhere)) as desk:
        document = desk.change("waive", asked)
    show(document, [document["summary"]], json=everywhere.json)


@app.command
def retry(
    entity: EntityName,
    /,
    *keys: Keys,
    every: Annotated[
        bool, Parameter(name="--all", negative="", help="Every quarantined key of the entity.")
    ] = False,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Try to copy keys again, once the record or the mapping was mended.

    Ends with 7 where some still cannot converge.

    For example:

        crossfade quarantine retry customer --all
    """
    asked = _asked(entity, keys, deciding, every=every)
    with working(Project(everywhere)) as desk:
        document = desk.change("retry", asked)
    show(document, outcome_lines(document), json=everywhere.json)
    return ExitCode.PARTIAL if document.get("still_open") else ExitCode.OK


def _asked(entity: str, keys: tuple[str, ...], deciding: Deciding, *, every: bool) -> KeysAsked:
    return KeysAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entity=entity,
        keys=keys_of(keys),
        every=every,
    )


def _lines(document: dict[str, Any]) -> list[str]:
    rows = [
        (
            key["entity"],
            key_text(key["key"]),
            "waived" if key["waived"] else "blocks",
            key["quarantine"],
            moment(key["dirty_since"]),
        )
        for key in document["keys"]
    ]
    lines = table(("entity", "key", "cut-over", "why", "since (UTC)"), rows)
    left = document["quarantined"] + document["waived"] - len(rows)
    if left > 0:
        lines.append(f"… and {left} more.")
    return lines or ["No key is quarantined."]
