"""`crossfade freeze`: hold all writes, or let them go on."""

from typing import Annotated

from cyclopts import Parameter

from crossfade.control.cli.choices import actor
from crossfade.control.cli.desk import working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import show
from crossfade.control.requests import FreezeAsked


def freeze(
    *,
    off: Annotated[bool, Parameter(negative="", help="Let writers go on.")] = False,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Hold all writes, in any stage; survives a restart. Reads go on.

    Writers wait a moment, then get 503 with Retry-After.

    For example:

        crossfade freeze --reason "restoring a backup"
        crossfade freeze --off
    """
    asked = FreezeAsked(actor=actor(), reason=deciding.reason, dry_run=deciding.dry_run, off=off)
    with working(Project(everywhere)) as desk:
        document = desk.change("freeze", asked)
    show(document, [document["summary"]], json=everywhere.json)
