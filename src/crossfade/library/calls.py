"""Everything that carries out the calls of one process, wired to its node."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from crossfade.execution.comparing import ReadComparer
from crossfade.execution.reader import Reader
from crossfade.execution.writer import Writer
from crossfade.library.asking import Shadows
from crossfade.library.call_answer import CallAnswer
from crossfade.library.handed_comparer import HandedComparer
from crossfade.library.node_thread import NodeThread
from crossfade.library.reading import ReadParts, Reads
from crossfade.library.within import Within
from crossfade.library.writing import WriteParts, Writes
from crossfade.model.function_operation import FunctionOperation

if TYPE_CHECKING:
    from crossfade.assembly import Node

REPLAYS_AT_ONCE_MAX = 16
"""Places for replays beside those of comparisons."""


class Calls:
    """A `CallRuntime` over one node."""

    def __init__(self, node: "Node", thread: "NodeThread[Any]") -> None:
        options = node.config.comparison
        self.shadows = Shadows(options.concurrency_max + REPLAYS_AT_ONCE_MAX)
        # Chosen by the caller's thread: here every read that is handed over is compared.
        chosen = replace(options, sample_fraction=1.0)
        comparer: ReadComparer[CallAnswer] = ReadComparer(
            node.ledger, node.observations, node.seams, chosen
        )
        handed = HandedComparer(
            comparer, node.observations, options, node.seams.randomness, thread
        )
        reader: Reader[CallAnswer] = Reader(node.ledger, node.canary, handed, node.hooks)
        reader.options = node.config.execution
        key_types = {name: one.key_types for name, one in node.sides.entities.items()}
        self.reads = Reads(
            ReadParts(self, node.ledger, node.canary, reader, handed, self.shadows, key_types)
        )
        self.writes = Writes(
            WriteParts(
                owner=self,
                ledger=node.ledger,
                # A writer looks at no more of an answer than the protocol says, so that the one
                # that resolver and flips know serves functions, too.
                writer=cast("Writer[CallAnswer]", node.writer),
                comparer=handed,
                shadows=self.shadows,
                failures=node.failures,
                tasks=node.seams.tasks,
                thread=thread,
                key_types=key_types,
                within=Within(node),
            )
        )
        self.read = self.reads.read
        self.read_async = self.reads.read_async

    def write(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.write`."""
        return self.writes.write(called, args, kwargs)

    async def write_async(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.write_async`."""
        return await self.writes.write_async(called, args, kwargs)
