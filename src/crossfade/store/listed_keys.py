"""A page of keys as somebody else listed it: what we rely on is checked, not believed."""

from collections.abc import Sequence
from itertools import pairwise

from crossfade.errors import StoreError
from crossfade.model.key import Key


def checked_page(
    keys: Sequence[Key], after: Key | None, limit: int, *, ordered: bool, name: str
) -> None:
    """Refuse a page that would end no walk, or lose keys.

    Raises:
        StoreError: it begins anew, is longer than asked, holds a key twice, or is not sorted
            although it should be; says what to correct.

    """
    if len(keys) > limit:
        raise StoreError(f"the list of {name} is longer than its limit. Correct it.")
    if len(set(keys)) != len(keys) or after in keys:
        raise StoreError(f"the list of {name} does not go on behind the key that it is given.")
    if not ordered:
        return
    walk = list(keys) if after is None else [after, *keys]
    if any(one >= other for one, other in pairwise(walk)):
        raise StoreError(
            f"the list of {name} is not sorted as numbers, or text by code point. "
            "Sort it, or say ordered=False."
        )
