"""`crossfade retire`: the one point of no return; asks for the migration's name."""

import sys
from typing import Annotated

from cyclopts import Parameter

from crossfade.control.cli.choices import UsageError, actor
from crossfade.control.cli.desk import working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import show
from crossfade.control.requests import RetireAsked


def retire(
    *,
    yes: Annotated[
        str, Parameter(help="The migration's name, instead of being asked for it.")
    ] = "",
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """End the write-back to legacy, for good: after this there is no way back.

    Takes crossfade's two tables out of the databases. Routes that the definition does not declare
    still pass to legacy.

    For example:

        crossfade retire --yes shop
    """
    project = Project(everywhere)
    name = project.definition.name
    typed = yes if yes or deciding.dry_run else _ask(name)
    if typed != name and not deciding.dry_run:
        raise UsageError(
            f'"{typed}" is not the migration\'s name: nothing was retired. '
            f"Type {name}, or give --yes {name}."
        )
    asked = RetireAsked(actor=actor(), reason=deciding.reason, dry_run=deciding.dry_run, name=name)
    with working(project) as desk:
        document = desk.change("retire", asked)
    show(document, [document["summary"]], json=everywhere.json)


def _ask(name: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "retire cannot be undone, and nobody can be asked here. "
            f"Give the migration's name: crossfade retire --yes {name}"
        )
    sys.stderr.write(
        "Legacy will no longer follow, and there is no way back.\n"
        "Type the migration's name to go on: "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip()
