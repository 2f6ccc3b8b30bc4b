"""`running`: crossfade inside a program, with the control API that the command line talks to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.migration import Migration

if TYPE_CHECKING:
    from crossfade.assembly import Node
    from crossfade.library.running import Running


def running(
    migration: Migration,
    *,
    ledger: str | None = None,
    folder: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    control: bool = True,
) -> "Running":
    """Carry out a migration's decorated functions in this process, while a `with` block runs.

    Settings come from `crossfade.toml` in the folder, then from the environment, then from here,
    as for `crossfade up`. Nothing is opened before the block is entered, or `start` is called.

    Args:
        migration: the definition, with its operations.
        ledger: the ledger's URL, such as `sqlite:///.crossfade/ledger.db`.
        folder: where relative paths count from; the working directory unless the definition was
            loaded from a file.
        settings: further settings, by section: `{"comparison": {"sample_fraction": 0.1}}`.
        control: whether the command line may talk to this process while it runs. The port is a
            free one unless it is configured.

    """
    # Loaded only here, as all the rest: importing crossfade must be light.
    from crossfade.library.running import Running  # noqa: PLC0415 - a definition must load quickly

    flags: dict[str, Any] = dict(settings or {})
    if ledger is not None:
        flags["ledger"] = ledger
    where = Path(folder) if folder is not None else migration.folder
    return Running(migration, partial(_node, migration, where.absolute(), flags, control=control))


@asynccontextmanager
async def _node(
    migration: Migration, folder: Path, flags: dict[str, Any], *, control: bool
) -> AsyncIterator["Node"]:
    """A started node; its last act is to give everything back."""
    from crossfade.assembly import open_node  # noqa: PLC0415 - loads everything there is
    from crossfade.config import load_config  # noqa: PLC0415 - loads everything there is
    from crossfade.control.control_beside import control_beside  # noqa: PLC0415 - loads everything there is

    config = load_config(folder, flags)
    migration.folder = folder
    async with AsyncExitStack() as stack:
        node = await open_node(migration, config, serving=True)
        stack.push_async_callback(node.stop)
        if control:
            await stack.enter_async_context(control_beside(migration, config, node))
        await node.start()
        yield node
