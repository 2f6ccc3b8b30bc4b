"""`crossfade demo`: a small shop moved from start to end, under traffic."""

import importlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(  # noqa: PLR0913 - one argument an option
    *,
    fast: Annotated[
        bool, Parameter(negative="", help="At most 30 seconds instead of 90.")
    ] = False,
    chaos: Annotated[
        bool, Parameter(negative="", help="Kill the gateway several times under way.")
    ] = False,
    keep: Annotated[
        bool, Parameter(negative="", help="Leave everything running and print the addresses.")
    ] = False,
    json: Annotated[bool, Parameter(negative="", help="Print one JSON document.")] = False,
    seed: Annotated[int, Parameter(help="Another seed gives other data and traffic.")] = 1,
    folder: Annotated[
        Path | None, Parameter(help="Where databases and ledger go; else a temporary folder.")
    ] = None,
    debug: Annotated[  # noqa: ARG001 - looked at where errors are shown
        bool, Parameter(negative="", help="Show where an error comes from.")
    ] = False,
) -> int:
    """Start two real services that differ, and move one to the other while traffic flows.

    Ends with 0 only if every promise held.

    For example:

        crossfade demo --fast
    """
    run = importlib.import_module("crossfade.demo.run")
    return int(
        run.run(
            run.DemoOptions(
                fast=fast, chaos=chaos, keep=keep, json=json, seed=seed, folder=folder,
            )
        )
    )  # fmt: skip
