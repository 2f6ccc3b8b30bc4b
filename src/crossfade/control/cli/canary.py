"""`crossfade canary`: let new serve a share of the reads."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from crossfade.control.cli.choices import UsageError, actor
from crossfade.control.cli.desk import looking, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import show, table
from crossfade.control.requests import CanaryAsked

PERCENT_MAX = 100

app = App(name="canary", help="Let new serve a share of the reads while legacy has authority.")


@app.command(name="show")
def show_canary(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show the share of each entity.

    For example:

        crossfade canary show
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("canary")
    show(document, _lines(document), json=everywhere.json)


@app.command(name="set")
def set_canary(
    entity: Annotated[str, Parameter(help="The entity's name.")],
    percent: Annotated[float, Parameter(help="0 to 100, of its keys.")],
    /,
    *,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Serve the reads of so many percent of an entity's keys from new.

    The same keys stay in the share when it grows; only keys that agree are served.

    For example:

        crossfade canary set customer 5
    """
    if not 0 <= percent <= PERCENT_MAX:
        raise UsageError(f"{percent:g} is no share: give 0 to 100 percent.")
    asked = CanaryAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entity=entity,
        percent=percent,
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("set_canary", asked)
    show(document, [document["summary"]], json=everywhere.json)


def _lines(document: dict[str, Any]) -> list[str]:
    rows = [(name, f"{percent:g} %") for name, percent in document["percent"].items()]
    lines = table(("entity", "reads from new"), rows)
    if document["stage"] != "shadow":
        lines.append(f"The stage is {document['stage']}: a canary serves in shadow only.")
    return lines
