"""`up`: gateway, workers and control API of one node in one process, started and stopped."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from crossfade.assembly import Node, open_node
from crossfade.config import Config
from crossfade.control.api.server import ControlServer
from crossfade.control.node_files import NodeFiles, RunningNode
from crossfade.control.outline import outline_of
from crossfade.control.service import Service
from crossfade.gateway.server import GatewayServer, bind
from crossfade.ledger.from_url import ledger_exists
from crossfade.migration import Migration

TOKEN_IDENTIFIERS = 2
"""Identifiers of 128 bits in one token."""


@asynccontextmanager
async def node_process(definition: Migration, config: Config) -> AsyncIterator[RunningNode]:
    """Run a node until the block ends; what is under way then finishes, within bounds.

    The order matters: callers come in only when everything behind the gateway is there, and at
    the end they are the first to leave. The command line finds the node only while it can answer.

    Raises:
        LockedError: another node owns the ledger.
        PortInUseError: one of the two ports is taken; nothing was started.
        ConfigurationError: a definition, setting or database is not as it must be.

    """
    files = NodeFiles(config)
    _check_ports(config)
    async with AsyncExitStack() as stack:
        node: Node = await open_node(definition, config, serving=True)
        stack.push_async_callback(node.stop)
        token = "".join(node.seams.randomness.identifier() for _ in range(TOKEN_IDENTIFIERS))
        control = ControlServer(
            Service(node, outline_of(definition)),
            token,
            node.seams.tasks,
            config.control.host,
            config.control.port,
        )
        await control.start()
        stack.push_async_callback(control.stop)
        await node.start()
        gateway_url = ""
        if node.app is not None:
            gateway = GatewayServer(
                node.app,
                config.gateway,
                host=config.gateway.host,
                port=config.gateway.port,
            )
            await gateway.start()
            stack.push_async_callback(gateway.stop)
            gateway_url = gateway.url
        running = RunningNode(
            pid=os.getpid(),
            migration=definition.name,
            control_url=control.url,
            gateway_url=gateway_url,
            started=node.seams.clock.now().timestamp(),
        )
        files.publish(running, token)
        stack.callback(files.withdraw)
        yield running


def _check_ports(config: Config) -> None:
    """A port in use must leave no new ledger behind, and no store that obeys it."""
    if ledger_exists(config.ledger):
        return
    for host, port in (
        (config.control.host, config.control.port),
        (config.gateway.host, config.gateway.port),
    ):
        bind(host, port).close()
