"""`crossfade up`: the gateway, the workers and the control API in one process."""

import asyncio
import signal
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.control.cli.everywhere import EVERYWHERE, Everywhere, Project
from crossfade.control.cli.output import note, show
from crossfade.control.documents import document
from crossfade.control.exit_codes import ExitCode

ENDS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}

Port = Annotated[int | None, Parameter(help="0 takes any free one; else the configured one.")]


def up(
    *,
    gateway_host: Annotated[
        str | None, Parameter(help="Address for callers; else the configured one.")
    ] = None,
    gateway_port: Port = None,
    control_port: Port = None,
    everywhere: Everywhere = EVERYWHERE,
) -> ExitCode:
    """Run the gateway, the workers and the control API until Ctrl-C or SIGTERM.

    Send your callers to the gateway; whatever crossfade does not know passes to legacy as it is.
    Requests under way are answered before it ends.

    For example:

        crossfade up --gateway-port 8400
    """
    flags = _flags(
        gateway={"host": gateway_host, "port": gateway_port}, control={"port": control_port}
    )
    project = Project(everywhere, flags)
    return asyncio.run(_serve(project, json=everywhere.json))


async def _serve(project: Project, *, json: bool) -> ExitCode:
    # Loaded only here: it is everything that there is.
    from crossfade.control.node_process import node_process  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ExitCode] = loop.create_future()
    for number in ENDS:
        loop.add_signal_handler(number, _end, ended, number)
    async with node_process(project.definition, project.config) as node:
        lines = [
            f"{node.migration} is up: {_callers(node.gateway_url)}",
            f"control API on {node.control_url}, ledger {project.config.ledger_shown}",
            "Stop with Ctrl-C. See `crossfade status`.",
        ]
        show(document("up", **asdict(node)), lines, json=json)
        code = await ended
        note("stopping: requests under way are answered first (again to stop at once)")
        for number in ENDS:
            loop.remove_signal_handler(number)
    note("stopped")
    return code


def _callers(gateway_url: str) -> str:
    return f"callers go to {gateway_url}" if gateway_url else "no gateway, it has no services"


def _end(ended: "asyncio.Future[ExitCode]", number: signal.Signals) -> None:
    if not ended.done():
        ended.set_result(ENDS[number])


def _flags(**sections: dict[str, Any]) -> dict[str, Any]:
    """Only what was given: the rest stays as it is configured."""
    given = {
        section: {name: value for name, value in values.items() if value is not None}
        for section, values in sections.items()
    }
    return {section: values for section, values in given.items() if values}
