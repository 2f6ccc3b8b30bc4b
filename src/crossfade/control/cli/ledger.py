"""`crossfade ledger`: show which ledger this is, or make the stores obey it."""

import asyncio
from typing import Annotated

from cyclopts import App, Parameter

from crossfade.control.cli.choices import actor, stage_of
from crossfade.control.cli.desk import looking
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import show

app = App(name="ledger", help="Show the ledger, or make the stores obey it.")


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
        project.config.ledger_shown,
    ]
    show(document, lines, json=everywhere.json)


@app.command
def adopt(
    ledger_id: Annotated[
        str, Parameter(help="The ledger's id (`crossfade ledger show`); new, if it is gone.")
    ],
    /,
    *,
    stage: Annotated[
        str | None, Parameter(help="Stage that held last, where this ledger is older.")
    ] = None,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make the stores obey this ledger: it was restored from a copy, or theirs is gone.

    Everything has to be copied and verified again. No node may run. A ledger that does not know
    which side had authority last has to be told, or the older side would answer.

    For example:

        crossfade ledger adopt 3f6c0d2ab1b54a4c9e7f00aa12bc34de --reason "restored from backup"
    """
    # Loaded only here: it brings the databases.
    from crossfade.control.adoption import AdoptAsked  # noqa: PLC0415
    from crossfade.control.adoption import adopt as adopt_stores  # noqa: PLC0415

    project = Project(everywhere)
    asked = AdoptAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        ledger_id=ledger_id,
        stage=None if stage is None else str(stage_of(stage)),
    )
    document = asyncio.run(adopt_stores(project.definition, project.config, asked))
    show(document, [document["summary"]], json=everywhere.json)
