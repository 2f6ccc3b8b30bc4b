"""`crossfade ledger`: show which ledger this is, or make the stores accept it."""

from cyclopts import App

from crossfade.control.cli.desk import looking
from crossfade.control.cli.everywhere import (
    EVERYWHERE,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import show

app = App(name="ledger", help="Show the ledger, or make the stores accept it.")


@app.command(name="show")
def show_ledger(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show which ledger this is.

    For example:

        crossfade ledger show
    """
    project = Project(everywhere)
    with looking(project) as desk:
        document = desk.look("ledger")
    lines = [
        f"ledger {document['ledger_id']}, incarnation {document['incarnation']}",
        str(project.config.ledger_file),
    ]
    show(document, lines, json=everywhere.json)
