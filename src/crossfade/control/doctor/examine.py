"""`doctor` put together: definition, services, databases, ledger, mappings; changes nothing."""

from collections.abc import Callable

from crossfade.config import Config
from crossfade.control.doctor.comparing import compare_sides, look_at_tables
from crossfade.control.doctor.findings import Finding, Verdict, fine, problem, warning
from crossfade.control.doctor.services import look_at_service
from crossfade.control.doctor.stores import (
    LedgerSeen,
    Opened,
    look_at_fences,
    look_at_owner,
    look_at_retired,
    look_at_stores,
)
from crossfade.control.documents import Document, document
from crossfade.control.exit_codes import ExitCode
from crossfade.errors import CrossfadeError
from crossfade.ledger.from_url import committed_sequence, ledger_exists, reader_from_url
from crossfade.migration import Migration
from crossfade.model.counted import counted
from crossfade.model.entity import Writers
from crossfade.model.side import Side
from crossfade.store.from_url import databases_of

Progress = Callable[[str], None]
"""Told what is being looked at."""

RECORDS_MAX = 200
"""Records of each entity and side that are mapped there and back."""


async def examine(
    definition: Migration,
    config: Config,
    *,
    apply: bool,
    records_max: int = RECORDS_MAX,
    progress: Progress,
) -> Document:
    """Look at everything; with `apply` make our two tables where they are missing.

    Never raises for what it looks for: each thing that is wrong is a finding.
    """
    findings = _look_at_definition(definition)
    progress("services")
    for side, service in ((Side.LEGACY, definition.legacy), (Side.NEW, definition.new)):
        findings += [] if service is None else await look_at_service(side, service)
    databases = databases_of(definition.name)
    opened = Opened()
    try:
        progress("databases")
        findings += await look_at_stores(definition, databases, opened)
        findings += await look_at_tables(opened.stores, progress)
        findings += await _look_at_ledger(config, opened, apply=apply)
        findings += await compare_sides(definition.entities, opened.stores, records_max, progress)
    finally:
        await databases.close()
    return _told(definition, findings)


def _look_at_definition(definition: Migration) -> list[Finding]:
    entities, operations = definition.entities, definition.operations
    sizes = (
        f"{counted(len(entities), 'entity', 'entities')}, {counted(len(operations), 'operation')}"
    )
    findings = [fine("definition", f"{definition.name}: {sizes}")]
    if not entities:
        findings.append(warning("definition", "it has no entity: nothing would be moved"))
    used = {operation.entity for operation in operations.values()}
    findings += [
        warning("definition", f"no operation reads or writes {name}: its traffic is not known")
        for name in entities
        if name not in used
    ]
    findings += [
        warning(
            "definition",
            f"others write {name} behind our back: level L4, and a cut-over needs a write stop",
        )
        for name, entity in entities.items()
        if entity.writers is Writers.OTHERS
    ]
    return findings


async def _look_at_ledger(config: Config, opened: Opened, *, apply: bool) -> list[Finding]:
    """The ledger, and whether the databases are guarded by it, or need no guard any more."""
    findings: list[Finding] = []
    databases = opened.databases.values()
    seen, ledger = None, None
    try:
        seen = _seen_ledger(config)
    except CrossfadeError as error:
        ledger = problem("ledger", str(error), error.exit_code)
    if seen is not None and seen.retired:
        findings.append(fine("migration", "retired: new alone answers, legacy does not follow"))
        for database in databases:
            findings += await look_at_retired(database)
        return findings
    for database in databases:
        findings += await look_at_fences(database, apply=apply)
    if ledger is not None:
        return [*findings, ledger]
    state = "not there yet; `crossfade up` makes it" if seen is None else seen.ledger_id
    findings.append(fine("ledger", f"{config.ledger_shown}: {state}"))
    for database in databases:
        findings += await look_at_owner(database, seen)
    return findings


def _seen_ledger(config: Config) -> LedgerSeen | None:
    if not ledger_exists(config.ledger):
        return None
    reader = reader_from_url(config.ledger)
    try:
        identity = reader.identity
        retired = reader.migration.retired
        sequence = committed_sequence(reader)
        return LedgerSeen(identity.ledger_id, identity.incarnation, sequence, retired)
    finally:
        reader.close()


def _told(definition: Migration, findings: list[Finding]) -> Document:
    problems = [one for one in findings if one.verdict is Verdict.PROBLEM]
    codes = {one.exit_code for one in problems}
    # What cannot be reached may hide more: that comes first.
    unreachable = ExitCode.UNREACHABLE in codes
    code = ExitCode.UNREACHABLE if unreachable else max(codes, default=ExitCode.OK)
    return document(
        "doctor",
        migration=definition.name,
        healthy=not problems,
        retired=any(one.what == "migration" for one in findings),
        problems=len(problems),
        warnings=sum(1 for one in findings if one.verdict is Verdict.WARNING),
        exit_code=int(code),
        findings=[one.as_document() for one in findings],
    )
