"""`crossfade plan`: what a move of stage would do, and what is in its way."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.choices import stage_of
from crossfade.control.cli.desk import working
from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import GREEN, RED, YELLOW, harmless, paint, show
from crossfade.control.exit_codes import ExitCode


def plan(
    stage: Annotated[str, Parameter(help="The stage to move to; else the next one forward.")] = "",
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """What a move would do, its gates with their evidence, and what is in its way.

    Ends with 0 where the move is possible now, with 5 where a gate is red.

    For example:

        crossfade plan live
    """
    wanted = stage_of(stage) if stage else None
    with working(Project(everywhere)) as desk:
        document = desk.look("plan", wanted=wanted)
    show(document, plan_lines(document), json=everywhere.json)
    return ExitCode.OK if document["allowed"] else ExitCode.REFUSED


def plan_lines(document: dict[str, Any]) -> Iterator[str]:
    """A plan as a person reads it."""
    move = f"{document['current']} to {document['wanted']} ({document['kind']})"
    yield f"{document['migration']}: {move}"
    yield ""
    yield "It would mean:"
    yield from (f"  {effect}" for effect in document["effects"])
    if document["gates"]:
        yield ""
        yield "Gates:"
    for gate in document["gates"]:
        yield f"  {_mark(gate)} {gate['name']}: {harmless(gate['reason'])}"
        if not gate["passed"] and gate["todo"]:
            yield f"      {gate['todo']}"
    if document["obstacles"]:
        yield ""
        yield "In its way:"
        yield from (f"  {harmless(one)}" for one in document["obstacles"])
    yield ""
    yield "How sure each entity is:"
    for entity in document["entities"]:
        yield f"  {entity['name']}: {entity['level']}, {entity['level_meaning']}"
    yield ""
    yield _verdict(document)


def _mark(gate: dict[str, Any]) -> str:
    if gate["passed"]:
        return paint("green ", GREEN)
    return paint("waived", YELLOW) if gate["waived"] else paint("red   ", RED)


def _verdict(document: dict[str, Any]) -> str:
    if document["allowed"]:
        return f"Possible now: {document['command']}"
    blocking = [
        gate["name"] for gate in document["gates"] if not gate["passed"] and not gate["waived"]
    ]
    return f"Not yet: {', '.join(blocking) or 'see what is in its way'}."
