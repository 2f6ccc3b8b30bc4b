"""`crossfade diffs`: differences that comparisons and replays found."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from crossfade.control.cli.choices import actor
from crossfade.control.cli.desk import looking, working
from crossfade.control.cli.everywhere import (
    DECIDING,
    EVERYWHERE,
    Deciding,
    Everywhere,
    Project,
)
from crossfade.control.cli.output import harmless, moment, show, table
from crossfade.control.requests import DifferenceAsked

app = App(name="diffs", help="Differences that were seen between the sides.")

Fingerprint = Annotated[str, Parameter(help="Of the difference; its first digits are enough.")]


@app.default
@app.command(name="list")
def list_diffs(
    *,
    resolved: Annotated[
        bool, Parameter(negative="", help="Those that were marked as mended too.")
    ] = False,
    limit: Annotated[int, Parameter(help="Kinds of difference at most.")] = 50,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List the kinds of difference, most frequent first.

    For example:

        crossfade diffs
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("diffs", resolved=resolved, limit=limit)
    show(document, _lines(document), json=everywhere.json)


@app.command(name="show")
def show_diff(fingerprint: Fingerprint, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show one kind of difference field by field, with samples.

    Values are shown only for fields that the definition lists in Compare(show=...).

    For example:

        crossfade diffs show 3f9a
    """
    with looking(Project(everywhere)) as desk:
        document = desk.look("diff", fingerprint=fingerprint)
    show(document, _detail_lines(document), json=everywhere.json)


@app.command
def resolve(
    fingerprint: Fingerprint,
    /,
    *,
    deciding: Deciding = DECIDING,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Mark a difference as mended: gates count what is found from now on.

    For example:

        crossfade diffs resolve 3f9a --reason "new rounds now"
    """
    asked = DifferenceAsked(
        actor=actor(),
        reason=deciding.reason,
        dry_run=deciding.dry_run,
        fingerprint=fingerprint,
    )
    with working(Project(everywhere)) as desk:
        document = desk.change("resolve_diff", asked)
    show(document, [document["summary"]], json=everywhere.json)


def _lines(document: dict[str, Any]) -> list[str]:
    rows = [
        (
            group["fingerprint"],
            group["operation"],
            "refused" if group["refused"] else group["kind"],
            ", ".join(group["paths"]),
            group["open"],
            moment(group["last_at"]),
        )
        for group in document["groups"]
    ]
    head = ("fingerprint", "operation", "kind", "where", "open", "last (UTC)")
    compared = sum(one["since"]["matched"] for one in document["operations"])
    lines = table(head, rows) or ["No difference was found."]
    return [*lines, f"{compared} comparisons matched."]


def _detail_lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['operation']} ({document['kind']}), entity {document['entity']}"
    yield (
        f"{document['open']} open of {document['count']}, "
        f"{moment(document['first_at'])} to {moment(document['last_at'])} UTC"
    )
    for sample in document["samples"]:
        key = f" key {harmless(sample['key'])}" if sample["key"] else ""
        yield ""
        yield f"{moment(sample['at'])} UTC{key}"
        for found in sample["differences"]:
            yield f"  {harmless(found['path'])} ({found['kind']})"
            yield f"    legacy  {harmless(found['legacy'])}"
            yield f"    new     {harmless(found['new'])}"
