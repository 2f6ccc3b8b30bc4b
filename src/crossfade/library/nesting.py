"""Operations inside operations: which side a call is already on, known by a context variable."""

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import dataclass

from crossfade.errors import NestedWriteError
from crossfade.model.key import Key
from crossfade.model.side import Side

COMPARE = "compare"
SERVE = "serve"


@dataclass(frozen=True, slots=True)
class Inside:
    """The operation in whose function we are."""

    owner: object
    """Whose operation it is: calls of another migration are none of its business."""
    side: Side
    role: str
    """`serve` for the authority's own call, else `compare` or `replay`."""
    writes: bool
    entity: str
    keys: tuple[Key, ...]
    place: tuple[int, object]
    """The thread and task of the call itself."""
    outer: "Inside | None"
    connection: object = None
    """The connection of its caller's own transaction, where it writes in that."""

    @property
    def shadow(self) -> bool:
        """Whether the caller gets something else: nothing here may reach the authority."""
        return self.role != SERVE


INSIDE: ContextVar[Inside | None] = ContextVar("crossfade_inside", default=None)
"""Set while a write's function, or the other side's, runs; reads of the authority set nothing."""


def inside_of(owner: object) -> Inside | None:
    """The nearest operation of that owner in whose function we are."""
    found = INSIDE.get()
    while found is not None and found.owner is not owner:
        found = found.outer
    return found


def place() -> tuple[int, object]:
    """This thread, and this task where there is one."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), task


def shadow_side(outer: Inside, *, writes: bool) -> Side | None:
    """The side on which a call inside a compared or replayed one stays; None: inside neither.

    Holds for threads and tasks that the function began, too.

    Raises:
        NestedWriteError: a call that is only compared would write.

    """
    if not outer.shadow:
        return None
    if writes and outer.role == COMPARE:
        raise NestedWriteError(
            "a read that is only compared tried to write. Nothing was written; let reads read."
        )
    return outer.side


def owned_side(
    outer: Inside, entity: str, keys: tuple[Key, ...], connection: object
) -> Side | None:
    """The side of the write that owns these keys already; None where this call owns itself.

    Only a call on the write's own stack: a task or thread that it began may outlive it, and then
    its intent would promise nothing.

    Raises:
        NestedWriteError: the write around it is part of a transaction, and this one is not: it
            would stand although the record of it were rolled back.

    """
    same = outer.entity == entity and keys and set(keys) <= set(outer.keys)
    if not (outer.writes and same and outer.place == place()):
        return None
    if outer.connection is not None and outer.connection is not connection:
        raise NestedWriteError(
            "a write of the same key, inside one in its caller's transaction, is not part of that "
            "transaction. Nothing was written; pass it the same connection, with transaction=."
        )
    return outer.side
