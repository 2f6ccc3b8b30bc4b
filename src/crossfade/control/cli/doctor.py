"""`crossfade doctor`: everything that can be found wrong before anything runs."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import GREEN, RED, YELLOW, harmless, paint, show
from crossfade.control.cli.progress import Telltale
from crossfade.control.exit_codes import ExitCode
from crossfade.model.counted import counted

COLOURS = {"ok": GREEN, "warning": YELLOW, "problem": RED}


def doctor(
    *,
    apply: Annotated[
        bool,
        Parameter(
            negative="",
            help="Make crossfade's two tables in the databases.",
        ),
    ] = False,
    records: Annotated[
        int, Parameter(help="Records of each entity and side that the mappings are tried on.")
    ] = 200,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Check the definition, both services, both databases, the ledger and the mappings.

    Changes nothing, unless --apply is given. Ends with 3 where something is not as it must be,
    with 4 where something does not answer.

    For example:

        crossfade doctor --apply
    """
    # Loaded only here: it brings the databases.
    from crossfade.control.doctor.examine import examine  # noqa: PLC0415

    project = Project(everywhere)
    telltale = Telltale()
    work = examine(
        project.definition,
        project.config,
        apply=apply,
        records_max=records,
        progress=telltale.tell,
    )
    document = asyncio.run(work)
    telltale.clear()
    show(document, _lines(document), json=everywhere.json)
    return ExitCode(document["exit_code"])


def _lines(document: dict[str, Any]) -> Iterator[str]:
    findings = document["findings"]
    width = max(len(one["what"]) for one in findings)
    for one in findings:
        verdict = paint(f"{one['verdict']:<8}", COLOURS[one["verdict"]])
        yield f"{verdict} {harmless(one['what']):<{width}}  {harmless(one['message'])}"
    statements = [one["ddl"] for one in findings if one["ddl"]]
    if statements:
        yield ""
        yield "These statements make the tables (`crossfade doctor --apply` runs them):"
        yield ""
        yield from statements[0].splitlines()
    yield ""
    yield _verdict(document)


def _verdict(document: dict[str, Any]) -> str:
    if not document["healthy"]:
        problems = counted(document["problems"], "problem")
        return f"{problems}. Mend what is wrong, then run `crossfade doctor` again."
    if document["retired"]:
        return "The migration is retired: nothing is left to do."
    told = f" ({counted(document['warnings'], 'warning')})" if document["warnings"] else ""
    return f"All is well{told}. Next: `crossfade up`."
