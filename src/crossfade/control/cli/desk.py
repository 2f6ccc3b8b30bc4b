"""Where a command is answered: by a running node, by the ledger alone, or by a node of its own."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from crossfade.control.cli.everywhere import Project
from crossfade.control.cli.output import note
from crossfade.control.client import Client, NodeGoneError
from crossfade.control.documents import Document
from crossfade.control.node_files import NodeFiles, RunningNode
from crossfade.control.outline import outline_of
from crossfade.control.requests import Asked
from crossfade.errors import ConfigurationError
from crossfade.seams.clock import SystemClock


class UseCases(Protocol):
    """The use cases of a node, by name (`crossfade.control.service`)."""

    looks: dict[str, Callable[..., Document | Awaitable[Document]]]
    changes: dict[str, Callable[..., Awaitable[Document]]]


class Desk(Protocol):
    """Whoever answers a command."""

    def look(self, use_case: str, **asked: Any) -> Document:  # noqa: ANN401 - plain values
        """A document; changes nothing."""

    def change(self, use_case: str, asked: Asked) -> Document:
        """Change something; the document says what was done."""

    def wait(self, seconds: float) -> None:
        """Let work that was begun go on for a while."""


class NodeDesk:
    """A running node answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def look(self, use_case: str, **asked: Any) -> Document:  # noqa: ANN401 - plain values
        """See `Desk.look`."""
        return self._client.look(use_case, **asked)

    def change(self, use_case: str, asked: Asked) -> Document:
        """See `Desk.change`."""
        return self._client.change(use_case, asked)

    def wait(self, seconds: float) -> None:
        """See `Desk.wait`; the work is the node's."""
        asyncio.run(SystemClock().sleep(seconds))


class LedgerDesk:
    """The ledger alone answers; nothing can be changed here."""

    def __init__(self, looks: Mapping[str, Callable[..., Any]]) -> None:
        self._looks = looks

    def look(self, use_case: str, **asked: Any) -> Document:  # noqa: ANN401 - plain values
        """See `Desk.look`."""
        document: Document = self._looks[use_case](**asked)
        return document

    def change(self, use_case: str, asked: Asked) -> Document:
        """Refuse: whoever only reads cannot change."""
        raise ConfigurationError(
            f"{use_case} needs a node and only the ledger is open ({asked.actor}). "
            "Start one with `crossfade up`."
        )

    def wait(self, seconds: float) -> None:
        """See `Desk.wait`."""
        asyncio.run(SystemClock().sleep(seconds))


class ProcessDesk:
    """A node inside this process answers; it owns the ledger as long as the command runs."""

    def __init__(self, runner: asyncio.Runner, service: "UseCases") -> None:
        self._runner = runner
        self._service = service

    def look(self, use_case: str, **asked: Any) -> Document:  # noqa: ANN401 - plain values
        """See `Desk.look`."""
        return self._runner.run(_awaited(self._service.looks[use_case](**asked)))

    def change(self, use_case: str, asked: Asked) -> Document:
        """See `Desk.change`."""
        return self._runner.run(_awaited(self._service.changes[use_case](asked)))

    def wait(self, seconds: float) -> None:
        """See `Desk.wait`."""
        self._runner.run(SystemClock().sleep(seconds))


def running_node(project: Project) -> tuple[RunningNode, Client] | None:
    """The node that owns the project's ledger and answers, or None.

    Raises:
        ConfigurationError: it runs, and we may not talk to it.
        UnreachableError: it runs, and does not answer.

    """
    files = NodeFiles(project.config)
    node = files.running()
    if node is None:
        return None
    try:
        client = Client(node.control_url, files.read_token())
        client.look("ledger")
    except NodeGoneError:
        return None
    except ConfigurationError:
        if files.running() is None:
            return None
        raise
    return node, client


@contextmanager
def looking(project: Project) -> Iterator[Desk]:
    """A desk that can only look: the running node's, else the ledger's."""
    found = running_node(project)
    if found is not None:
        yield NodeDesk(found[1])
        return
    # Loaded only here: most commands talk to a node.
    from crossfade.control.looks import ledger_looks  # noqa: PLC0415
    from crossfade.control.telling import Telling  # noqa: PLC0415
    from crossfade.ledger.from_url import reader_from_url  # noqa: PLC0415

    outline = outline_of(project.definition)
    reader = reader_from_url(project.config.ledger)
    note(f"no node is running: read from {project.config.ledger_shown}")
    try:
        yield LedgerDesk(ledger_looks(Telling(reader, outline, read_from="ledger")))
    finally:
        reader.close()


@contextmanager
def working(project: Project) -> Iterator[Desk]:
    """A desk that can change: the running node's, else a node's of our own.

    Raises:
        LockedError: a node owns the ledger, and has not said yet where it can be reached.

    """
    found = running_node(project)
    if found is not None:
        yield NodeDesk(found[1])
        return
    from crossfade.assembly import open_node  # noqa: PLC0415 - loads everything there is
    from crossfade.control.service import Service  # noqa: PLC0415

    note(f"no node is running: this command opens {project.config.ledger_shown} itself")
    definition = project.definition
    with asyncio.Runner() as runner:
        node = runner.run(open_node(definition, project.config, serving=False))
        try:
            runner.run(node.start())
            yield ProcessDesk(runner, Service(node, outline_of(definition)))
        finally:
            runner.run(node.stop())


async def _awaited(answer: Document | Awaitable[Document]) -> Document:
    return await answer if inspect.isawaitable(answer) else answer
