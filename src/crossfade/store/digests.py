"""The port of a store that computes digests of its rows where they are: sums over ranges of keys.

A digest is a number of 64 bits that a database computes of one row; equal rows have equal ones,
and different rows have different ones but for a chance of about 2 to the -53. Sums of digests
tell in one number for each range of keys whether two sides have the same rows. Two databases can
be compared where both can compute one *function* over one *form* of each value; the digest of a
function that only one engine has is compared with digests that the same database gave before.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol, runtime_checkable

from crossfade.model.key import Key, KeyRange
from crossfade.store.base import Digest, Record

PORTABLE = "portable"
"""The function that every engine computes alike."""

DIGEST_BITS = 64

Forms = Mapping[str, tuple[str, ...]]
"""Function to the forms that a column has for it, the cheapest first.

Values of equal form are equal in a record if and only if their digests are, as far as a function
can tell; where the forms of two columns have none in common, digests do not compare them.
"""


@dataclass(frozen=True, slots=True)
class RowDigest:
    """What is computed of a row."""

    function: str
    columns: tuple[str, ...]
    forms: tuple[str, ...]
    """One for each column."""
    seed: int
    """Digests of another seed are other ones; 63 bits."""


@dataclass(frozen=True, slots=True)
class RangeSum:
    """The rows of a range of keys in one number."""

    range: KeyRange
    rows: int
    total: int
    """Sum of their digests."""


@dataclass(frozen=True, slots=True)
class DigestPair:
    """A proven fact about a mapping: a row of the authority, and the mirror's row that it gives.

    It stays true whatever happens to both rows later, so nothing ever has to take it back.
    """

    authority: Digest
    mirror: Digest


@dataclass(frozen=True, slots=True)
class PairSum:
    """What the fence table keeps for the keys of one range."""

    rows: int
    """Keys that have a pair."""
    authority: int
    mirror: int


def stable_seed(*parts: object) -> int:
    """A seed that is the same whenever it is made of equal parts; 63 bits."""
    text = json.dumps(parts, ensure_ascii=False)
    return (
        int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1
    )


Start = str | int | None
"""Where in a fence table a call goes on; None is its beginning, or behind its end."""


@dataclass(frozen=True, slots=True)
class PairSums:
    """What one part of a fence table adds up to."""

    sums: Sequence[PairSum]
    next: Start
    """None: this was the last part."""


class RowDigests(Protocol):
    """Digests of one entity's rows on one side; every call is one snapshot, and reads only.

    All raise what `RecordReader` raises.
    """

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the key, in its order."""

    def forms(self) -> Mapping[str, Forms]:
        """The forms of each column; the first function is the engine's own, and has them all."""

    def of_columns(self, names: Sequence[str], binding: str = "") -> RowDigest | None:
        """What is computed of these columns and the key, to be kept and compared later.

        By the engine's own function, which takes every type; equal arguments give an equal
        digest in every process. None where there is no such column.

        Args:
            names: the columns.
            binding: what else the digest is to depend on.

        """

    async def first_sums(
        self, digest: RowDigest, range_: KeyRange, rows_max: int, parts_max: int
    ) -> Sequence[RangeSum]:
        """Cut the lower end of a range into parts of at most so many rows; sum up each.

        Fewer parts than `parts_max` cover the whole range, whatever their rows are.
        """

    async def sums(
        self, digest: RowDigest, ranges: Sequence[KeyRange], rows_max: int | None
    ) -> Sequence[RangeSum]:
        """Sum up each of these ranges.

        Args:
            digest: of each row.
            ranges: in any order.
            rows_max: where a range has more, some of them are enough; None is no limit.

        """

    async def even_sums(
        self, digest: RowDigest, ranges: Sequence[KeyRange], length: int
    ) -> Sequence[RangeSum]:
        """Cut each range of whole-number keys into parts of this length; sum up those with rows.

        The ranges have both bounds; a part begins above the range's lower bound, or where the one
        before it ends.
        """

    async def digests(
        self, digest: RowDigest, ranges: Sequence[KeyRange], rows_max: int
    ) -> Sequence[Sequence[tuple[Key, Digest]]]:
        """The digests of the first rows of each range by ascending key."""

    async def read_range(
        self, digest: RowDigest, range_: KeyRange, rows_max: int
    ) -> tuple[Sequence[tuple[Key, Record]], Sequence[Digest]]:
        """As `RecordReader.read_range`, with the digest of each row."""


class FencePairs(Protocol):
    """The pairs of digests that a store keeps beside the fence of each of its entity's keys."""

    async def sums(self, bounds: Sequence[Key], start: Start = None) -> PairSums | None:
        """Add up the pairs of keys up to the first bound, above it up to the second, and so on.

        The last sum is of the keys above all bounds. A call reads a bounded part of the table;
        the next one goes on at the `start` that this one tells. None: this engine cannot tell
        such keys apart; without bounds it always can.
        """

    async def pairs(self, keys: Sequence[Key]) -> Mapping[Key, DigestPair]:
        """The pairs of these keys; those without one are left out."""

    async def keep(self, pairs: Mapping[Key, DigestPair], epoch: int) -> int:
        """Keep pairs that were just proven, for keys that have a fence row; how many were kept.

        Tokens stay as they are, and no row of the service is touched. In a database of another
        epoch or ledger nothing is kept. Survives a crash: a pair is kept or not.
        """


@runtime_checkable
class Digesting(Protocol):
    """A store that computes digests; optional."""

    @property
    def digests(self) -> RowDigests | None:
        """Of its rows; None where its engine or its tables do not allow any."""

    @property
    def fence_pairs(self) -> FencePairs | None:
        """Those that it keeps; None with the same."""


def digests_of(store: object) -> RowDigests | None:
    """A store's digests; None where it has none."""
    return store.digests if isinstance(store, Digesting) else None


def pairs_of(store: object) -> FencePairs | None:
    """The pairs that a store keeps; None where it keeps none."""
    return store.fence_pairs if isinstance(store, Digesting) else None
