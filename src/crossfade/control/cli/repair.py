"""`crossfade repair`: copy keys again."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.choices import actor, keys_of
from crossfade.control.cli.desk import working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import harmless, key_text, show
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import KeysAsked


def repair(
    entity: Annotated[str, Parameter(help="The entity's name.")],
    /,
    *keys: Annotated[str, Parameter(help='Keys: 17, or ["de",17].')],
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Copy keys from the authority to the mirror again; a key that is no more is deleted there.

    Ends with 7 where some did not converge.

    For example:

        crossfade repair customer 17 18
    """
    asked = KeysAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        entity=entity,
        keys=keys_of(keys),
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("repair", asked)
    show(document, outcome_lines(document), json=everywhere.json)
    return ExitCode.PARTIAL if document.get("still_open") else ExitCode.OK


def outcome_lines(document: dict[str, Any]) -> Iterator[str]:
    """What was done, and what is still open, with the reason."""
    yield document["summary"]
    for one in document.get("still_open", ()):
        yield f"  {harmless(key_text(one['key']))}: {harmless(one['reason'])}"
