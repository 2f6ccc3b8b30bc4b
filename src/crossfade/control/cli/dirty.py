"""`crossfade dirty`: keys whose sides are not known to agree, and those that are held."""

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
from crossfade.control.requests import KeysAsked

app = App(name="dirty", help="Keys whose sides are not known to agree.")

EntityFilter = Annotated[str | None, Parameter(help="Only keys of this entity.")]
Limit = Annotated[int, Parameter(help="Keys at most.")]


@app.default
@app.command(name="list")
def list_dirty(
    *,
    entity: EntityFilter = None,
    held: Annotated[
        bool, Parameter(negative="", help="Only keys held after a forced roll-back.")
    ] = False,
    limit: Limit = 100,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List dirty keys: written a moment ago, or not converged yet, with the reason.

    For example:

        crossfade dirty --entity order
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("dirty", entity=entity, held=held, limit=limit)
    show(document, _lines(document), json=everywhere.json)


@app.command
def release(
    entity: Annotated[str, Parameter(help="The entity's name.")],
    /,
    *keys: Annotated[str, Parameter(help='Held keys: 17, or ["de",17].')],
    every: Annotated[
        bool, Parameter(name="--all", negative="", help="Every held key of the entity.")
    ] = False,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Give up what only the lost side has of held keys; the other side answers for them again.

    For example:

        crossfade dirty release order 17 --reason "legacy's disk is gone"
    """
    asked = KeysAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entity=entity,
        keys=keys_of(keys),
        every=every,
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("release", asked)
    show(document, [document["summary"]], json=everywhere.json)


def _lines(document: dict[str, Any]) -> list[str]:
    rows = [
        (
            key["entity"],
            key_text(key["key"]),
            key["held_authority"] or key["quarantine"] or key["reason"],
            key["tries"],
            moment(key["dirty_since"]),
        )
        for key in document["keys"]
    ]
    lines = table(("entity", "key", "why", "tries", "since (UTC)"), rows)
    lines += [f"Every key of {name} is held." for name in document["entities_held"]]
    left = document["total"] - len(rows)
    if left > 0:
        lines.append(f"… and {left} more.")
    what = "held" if document["held"] else "dirty"
    return lines or [f"No key is {what}."]
