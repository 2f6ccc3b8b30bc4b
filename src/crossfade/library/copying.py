"""Copies of a call's arguments: what one side does to them must never be seen by the other."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.model.function_operation import FunctionOperation
from crossfade.model.function_signature import Arguments

PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None)})
"""Types whose values nobody can change."""


def copied(called: FunctionOperation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Deep copies of all arguments but the shared ones.

    Raises whatever the arguments' own copying raises.
    """
    if all(type(one) in PLAIN for one in args) and all(
        type(one) in PLAIN for one in kwargs.values()
    ):
        return tuple(args), kwargs
    memo: dict[int, Any] = {}
    for place in called.shared:
        try:
            value = place.value(args, kwargs)
        except LookupError:
            continue
        for one in value if place.rest else (value,):
            memo[id(one)] = one
    # One copy of both, so that what they share is shared in the copy, too.
    copies: Arguments = copy.deepcopy((tuple(args), dict(kwargs)), memo)
    return copies
