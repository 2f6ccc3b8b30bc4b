"""The control API beside a node that lives inside somebody's program."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crossfade.assembly import Node
from crossfade.config import Config, ControlSettings
from crossfade.control.api.server import ControlServer
from crossfade.control.node_files import NodeFiles, RunningNode
from crossfade.control.node_process import TOKEN_IDENTIFIERS
from crossfade.control.outline import outline_of
from crossfade.control.service import Service
from crossfade.migration import Migration

ANY_PORT = 0


@asynccontextmanager
async def control_beside(migration: Migration, config: Config, node: Node) -> AsyncIterator[None]:
    """Let the command line find the node and talk to it until the block ends.

    A program has no use for our usual port, and a second one on the machine would miss it: it is
    any free one unless another than the default is configured.

    Raises:
        PortInUseError: the configured port is taken.
        ConfigurationError: the ledger's folder cannot be written.

    """
    files = NodeFiles(config)
    token = "".join(node.seams.randomness.identifier() for _ in range(TOKEN_IDENTIFIERS))
    usual = config.control.port == ControlSettings().port
    server = ControlServer(
        Service(node, outline_of(migration)),
        token,
        node.seams.tasks,
        config.control.host,
        ANY_PORT if usual else config.control.port,
    )
    await server.start()
    try:
        running = RunningNode(
            pid=os.getpid(),
            migration=migration.name,
            control_url=server.url,
            gateway_url="",
            started=node.seams.clock.now().timestamp(),
        )
        files.publish(running, token)
        yield
    finally:
        files.withdraw()
        await server.stop()
