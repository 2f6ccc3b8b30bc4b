"""Foreign keys of one side: the order of entities, cycles, and what no entity covers; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from crossfade.control.doctor.findings import Finding, fine, problem, warning
from crossfade.model.entity_graph import EntityLinks, LinkedTable, Reference, entity_graph
from crossfade.model.side import Side
from crossfade.store.sql_survey import LinkSurvey, TableSurvey

Surveys = Mapping[str, TableSurvey]
"""By table."""


def check_links(
    side: Side, declared: Sequence[str], links: Sequence[EntityLinks], surveys: Surveys
) -> list[Finding]:
    """What the foreign keys of a side mean for copying to it; nothing where there are none."""
    what = f"foreign keys on {side}"
    graph = entity_graph(declared, links)
    findings = [warning(what, message) for message in _outside(side, links)]
    if any(graph.parents.values()):
        order = ", ".join(name for name in graph.order if _is_linked(name, graph.parents))
        findings.insert(0, fine(what, f"rows are put in the order {order}"))
    if not graph.cycles:
        return findings
    firm = entity_graph(declared, [_firm(one, surveys) for one in links])
    for cycle in graph.cycles:
        names = ", ".join(cycle)
        if not any(set(cycle).issuperset(one) for one in firm.cycles):
            findings.append(
                fine(what, f"{names} point to one another: they are put in one transaction")
            )
            continue
        ddl = "\n".join(_deferring(cycle, links, surveys))
        cure = "declare one of the foreign keys DEFERRABLE" if ddl else "let one of them be NULL"
        findings.append(
            problem(what, f"{names} point to one another, none can be the first: {cure}", ddl=ddl)
        )
    return findings


def _outside(side: Side, links: Sequence[EntityLinks]) -> Iterator[str]:
    """Tables that rows point to, and that no entity of the same database has."""
    owned = {(one.place, table.name) for one in links for table in one.tables}
    found: dict[str, list[str]] = {}
    for one in links:
        for table in one.tables:
            for reference in table.references:
                if (one.place, reference.table) not in owned:
                    found.setdefault(reference.table, []).append(table.name)
    for referred, tables in sorted(found.items()):
        yield (
            f"{', '.join(dict.fromkeys(tables))} of {side} points to {referred}, which no entity "
            f"covers: a row can be copied only when what it points to is there. Declare an "
            f"entity for {referred}, or load it yourself"
        )


def _is_linked(name: str, parents: Mapping[str, frozenset[str]]) -> bool:
    return bool(parents[name]) or any(name in found for found in parents.values())


def _firm(links: EntityLinks, surveys: Surveys) -> EntityLinks:
    """Only the foreign keys that hold in every moment: not NULL, and checked at once."""
    return replace(links, tables=tuple(_firm_table(table, surveys) for table in links.tables))


def _firm_table(table: LinkedTable, surveys: Surveys) -> LinkedTable:
    return replace(
        table,
        references=tuple(
            one
            for one in table.references
            if not one.optional and not _known(table, one, surveys).deferrable
        ),
    )


def _deferring(
    cycle: Sequence[str], links: Sequence[EntityLinks], surveys: Surveys
) -> Iterator[str]:
    """The statements any one of which breaks the cycle."""
    tables = {table.name for one in links if one.entity in cycle for table in one.tables}
    for one in links:
        for table in one.tables if one.entity in cycle else ():
            for reference in _firm_table(table, surveys).references:
                statement = _known(table, reference, surveys).defer
                if statement and reference.table in tables:
                    yield statement


def _known(table: LinkedTable, reference: Reference, surveys: Surveys) -> LinkSurvey:
    survey = surveys.get(table.name)
    known = survey.links.get(reference.columns) if survey is not None else None
    return known or LinkSurvey("", deferrable=False)
