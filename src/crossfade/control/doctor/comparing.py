"""All that is looked at once the stores are open: records, schemas, rights, foreign keys."""

from collections.abc import Callable, Mapping

from crossfade.control.doctor.findings import Finding, problem
from crossfade.control.doctor.link_checks import check_links
from crossfade.control.doctor.mapping_checks import check_mapping
from crossfade.control.doctor.probing import probed
from crossfade.control.doctor.sampling import sample_records
from crossfade.control.doctor.schema_checks import Comparison, SideTable, compare_tables
from crossfade.control.doctor.schemas import look_at_rights, read_side, survey_store, told_survey
from crossfade.errors import CrossfadeError
from crossfade.model.entity import Entity
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.store.base import Record
from crossfade.store.from_url import OpenStore
from crossfade.store.sql_store import SqlStore
from crossfade.store.sql_survey import TableSurvey

Progress = Callable[[str], None]
"""Told what is being looked at."""

Stores = Mapping[str, Mapping[Side, OpenStore]]
"""Entity and side to a store that could be opened."""

Records = list[tuple[Key, Record]]


async def look_at_tables(stores: Stores, progress: Progress) -> list[Finding]:
    """Rights on every table, its triggers and sequences, and the foreign keys of each side."""
    findings: list[Finding] = []
    for side in Side:
        surveys: dict[str, TableSurvey] = {}
        opened = {
            name: store
            for name, found in stores.items()
            if isinstance(store := found.get(side), SqlStore)
        }
        for name, store in opened.items():
            what = f"{name} on {side}"
            progress(f"rights and triggers of {what}")
            findings += await look_at_rights(what, store)
            try:
                found = await survey_store(store)
            except CrossfadeError as error:
                findings.append(problem(what, str(error), error.exit_code))
                continue
            findings += told_survey(what, found)
            surveys |= found
        links = [store.links for store in opened.values()]
        findings += check_links(side, list(stores), links, surveys)
    return findings


async def compare_sides(
    entities: Mapping[str, Entity], stores: Stores, records_max: int, progress: Progress
) -> list[Finding]:
    """Try every mapping on records of both sides, and compare what both can hold."""
    findings: list[Finding] = []
    for name, opened in stores.items():
        if len(opened) < len(Side):
            continue
        entity = entities[name]
        sampled: dict[Side, Records] = {}
        for side in Side:
            progress(f"records of {name} on {side}")
            try:
                sampled[side] = await sample_records(opened[side], records_max)
            except CrossfadeError as error:
                findings.append(problem(f"{name} on {side}", str(error), error.exit_code))
                continue
            findings += check_mapping(entity, opened, side, sampled[side])
        findings += await _compare_schemas(entity, opened, sampled)
    return findings


async def _compare_schemas(
    entity: Entity, opened: Mapping[Side, OpenStore], sampled: Mapping[Side, Records]
) -> list[Finding]:
    sides: dict[Side, SideTable] = {}
    for side, store in opened.items():
        if not isinstance(store, SqlStore):
            return []
        try:
            sides[side] = await read_side(store)
        except CrossfadeError as error:
            return [problem(f"{entity.name} on {side}", str(error), error.exit_code)]
    findings = []
    for side in Side:
        records = [record for _, record in sampled.get(side, [])]
        probe = probed(entity, side, sides[side].table, records)
        if probe is not None:
            comparison = Comparison(entity, side, sides[side], sides[side.other], probe)
            findings += compare_tables(comparison, was_tried=bool(records))
    return findings
