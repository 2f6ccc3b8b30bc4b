"""`crossfade doctor`: everything that can be found wrong before anything runs."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import GREEN, RED, YELLOW, harmless, note, paint, show
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
    grants: Annotated[
        bool,
        Parameter(
            negative="",
            help="Only print the SQL that makes the two tables, and gives a role its rights.",
        ),
    ] = False,
    role: Annotated[
        str, Parameter(help="Whom the rights of --grants are for; of MariaDB maybe NAME@HOST.")
    ] = "crossfade",
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Check the definition, both services, both databases, the ledger and the mappings.

    Changes nothing, unless --apply is given. Ends with 3 where something is not as it must be,
    with 4 where something does not answer.

    For example:

        crossfade doctor --apply

        crossfade doctor --grants --role crossfade
    """
    if grants:
        return _grants(role, everywhere)
    document = _examined(Project(everywhere), apply=apply, records=records)
    show(document, _lines(document), json=everywhere.json)
    return ExitCode(document["exit_code"])


def _examined(project: Project, *, apply: bool, records: int) -> dict[str, Any]:
    # Loaded only here: it brings the databases.
    from crossfade.control.doctor.examine import examine  # noqa: PLC0415

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
    return document


def _grants(role: str, everywhere: Everywhere) -> ExitCode:
    from crossfade.control.doctor.grants import tell_grants  # noqa: PLC0415 - only when it is asked for

    document = asyncio.run(tell_grants(Project(everywhere).definition, role))
    show(document, _sql_lines(document), json=everywhere.json)
    for message in document["problems"]:
        note(f"not looked into: {harmless(message)}")
    return ExitCode(document["exit_code"])


def _sql_lines(document: dict[str, Any]) -> Iterator[str]:
    """One script for each database; what is no SQL is a note of SQL."""
    for number, one in enumerate(document["databases"]):
        yield from [""] if number else []
        yield f"-- {harmless(one['database'])}: {' and '.join(one['sides'])}"
        yield from (harmless(line) for line in one["ddl"].splitlines())
        yield from (harmless(line) for line in one["grants"])


def _lines(document: dict[str, Any]) -> Iterator[str]:
    findings = document["findings"]
    width = max(len(one["what"]) for one in findings)
    for one in findings:
        verdict = paint(f"{one['verdict']:<8}", COLOURS[one["verdict"]])
        yield f"{verdict} {harmless(one['what']):<{width}}  {harmless(one['message'])}"
    yield from _statements(findings)
    yield ""
    yield _verdict(document)


def _statements(findings: list[dict[str, Any]]) -> Iterator[str]:
    """What would mend it, each statement once, for each place where it is to be run."""
    ours = "tables in "
    places: dict[str, list[str]] = {}
    for one in findings:
        if one["ddl"]:
            places.setdefault(one["ddl"], []).append(one["what"])
    for ddl, whats in places.items():
        yield ""
        where = ", ".join(harmless(what.removeprefix(ours)) for what in dict.fromkeys(whats))
        if all(what.startswith(ours) for what in whats) and "CREATE TABLE" in ddl:
            yield "These statements make the tables (`crossfade doctor --apply` runs them)"
            yield f"in {where}:"
        else:
            yield f"This would mend it ({where}); look it over, and run it yourself:"
        yield ""
        yield from (harmless(line) for line in ddl.splitlines())


def _verdict(document: dict[str, Any]) -> str:
    if not document["healthy"]:
        problems = counted(document["problems"], "problem")
        return f"{problems}. Mend what is wrong, then run `crossfade doctor` again."
    if document["retired"]:
        return "The migration is retired: nothing is left to do."
    told = f" ({counted(document['warnings'], 'warning')})" if document["warnings"] else ""
    return f"All is well{told}. Next: `crossfade up`, or your own program."
