"""Which way of comparing an entity is taken: sums of digests, kept digests, or every record."""

from collections.abc import Callable
from dataclasses import dataclass

from crossfade.convergence.digesting import common_digest, copy_digest, why_no_digests
from crossfade.convergence.sides import EntityStores
from crossfade.errors import GateError, MappingError, StoreError, StoreUnreachableError
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.model.side import Side
from crossfade.model.verification_way import AskedWay, Way
from crossfade.store.base import Record, Store
from crossfade.store.digests import RowDigest, digests_of, pairs_of
from crossfade.verification.checksums import ChecksumPages
from crossfade.verification.options import VerificationOptions
from crossfade.verification.record_pages import RecordPages, record_pages
from crossfade.verification.sampler import Sampler
from crossfade.verification.sum_walk import DigestSide, both
from crossfade.verification.vouched import Differs, VouchedPages, usual_names

SAMPLE_ROWS = 50
"""Records that are mapped to see which columns a mapping names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The way that is taken."""

    way: Way
    pages: Callable[[KeyRange], RecordPages]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared, and how it was asked for."""

    stores: EntityStores
    authority: Side
    generation: int
    options: VerificationOptions
    sampler: Sampler
    differs: Differs
    seed: int
    """Digests of one verification differ from those of another."""


async def choose_way(asked: AskedWay, comparison: Comparison) -> Chosen:
    """The way to compare an entity.

    Raises:
        GateError: the fast way was asked for, and there is none; says why.
        StoreError: a side cannot be read.

    """
    reason = None if asked is not AskedWay.EXACT else "the exact way was asked for"
    reason = reason or _why_exact(comparison)
    found: Chosen | str = reason if reason is not None else await _fast(comparison)
    if isinstance(found, Chosen):
        return found
    if asked is AskedWay.FAST:
        raise GateError(
            f"{comparison.stores.entity.name} cannot be verified by digests: {found}. "
            "Leave out --fast: every record is compared then."
        )
    return _exact(comparison)


def _exact(comparison: Comparison) -> Chosen:
    authority, mirror = _sides(comparison)
    rows_max = comparison.options.page_rows
    return Chosen(
        Way.EXACT,
        lambda range_: record_pages(authority, mirror, range_, rows_max, comparison.sampler),
    )


def _why_exact(comparison: Comparison) -> str | None:
    if not comparison.sampler.everything:
        return "only a share of its keys is compared"
    return why_no_digests(comparison.stores)


async def _fast(comparison: Comparison) -> Chosen | str:
    common = common_digest(comparison.stores, comparison.authority, comparison.seed)
    if common is not None:
        return await _checksums(comparison, common.authority, common.mirror)
    return await _vouched(comparison)


async def _checksums(
    comparison: Comparison, authority: RowDigest, mirror: RowDigest
) -> Chosen | str:
    sides = await _digest_sides(comparison, authority, mirror)
    if isinstance(sides, str):
        return sides
    options, sampler = comparison.options, comparison.sampler
    return Chosen(Way.CHECKSUMS, lambda range_: ChecksumPages(*sides, range_, options, sampler))


async def _vouched(comparison: Comparison) -> Chosen | str:
    mirror = comparison.authority.other
    kept = pairs_of(comparison.stores.side(mirror))
    digest = copy_digest(comparison.stores, mirror, comparison.generation)
    names = await _mapped_names(comparison)
    rows = digests_of(comparison.stores.side(mirror))
    of_mirror = None if rows is None or names is None else rows.of_columns(names)
    if kept is None or digest is None or of_mirror is None:
        return "its mapping names no columns that the other side has"
    sides = await _digest_sides(comparison, digest, of_mirror)
    if isinstance(sides, str):
        return sides
    options, differs = comparison.options, comparison.differs
    return Chosen(Way.DIGESTS, lambda range_: VouchedPages(*sides, kept, range_, options, differs))


async def _mapped_names(comparison: Comparison) -> tuple[str, ...] | None:
    authority, _ = _sides(comparison)
    mapped: list[Record] = []
    for _, record in await authority.read_range(EVERY_KEY, SAMPLE_ROWS):
        try:
            one = comparison.stores.entity.map_record(record, comparison.authority.other)
        except MappingError:
            continue
        if one is not None:
            mapped.append(one)
    return usual_names(mapped)


async def _digest_sides(
    comparison: Comparison, authority: RowDigest, mirror: RowDigest
) -> tuple[DigestSide, DigestSide] | str:
    """Both sides, if their databases really compute the digests."""
    ours, theirs = _sides(comparison)
    rows, other_rows = digests_of(ours), digests_of(theirs)
    if rows is None or other_rows is None:
        return "a side computes no digests"
    try:
        await both(
            rows.digests(authority, [EVERY_KEY], 1), other_rows.digests(mirror, [EVERY_KEY], 1)
        )
    except StoreUnreachableError:
        raise
    except StoreError as error:
        return f"a database cannot compute them: {error}"
    return DigestSide(ours, rows, authority), DigestSide(theirs, other_rows, mirror)


def _sides(comparison: Comparison) -> tuple[Store, Store]:
    stores, authority = comparison.stores, comparison.authority
    return stores.side(authority), stores.side(authority.other)
