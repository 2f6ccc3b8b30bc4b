"""`crossfade demo`: runs one production and says in exit status and words how it went."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crossfade.codec import encode
from crossfade.control.cli.output import GREEN, RED, paint
from crossfade.control.exit_codes import ExitCode
from crossfade.demo.chaos import NO_CHAOS, plan_chaos
from crossfade.demo.live_view import make_view
from crossfade.demo.pace import FAST, FULL
from crossfade.demo.production import Production
from crossfade.demo.report import Record, document_of, is_ok, lines_of
from crossfade.demo.story import Story, View
from crossfade.demo.workplace import Workplace, open_workplace
from crossfade.errors import CrossfadeError

ENDS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.TERMINATED,
}

VERDICT_WIDTH = 6
COLOURS = {"held  ": GREEN, "BROKEN": RED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """How the demo is played."""

    fast: bool = False
    """Fewer records and shorter stays: at most 30 seconds instead of 90."""
    chaos: bool = False
    """Whether the gateway is killed several times under way."""
    keep: bool = False
    """Whether everything runs on afterwards."""
    json: bool = False
    """Whether stdout gets one document, and the story goes to stderr."""
    seed: int = 1
    """Data, traffic and the moments of the kills are drawn from it."""
    folder: Path | None = None
    """Where databases and ledger go, to stay there; None is a temporary folder."""


class Run:
    """One demo from the command line's point of view."""

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._pace = FAST if options.fast else FULL
        self._view: View = make_view(sys.stderr if options.json else sys.stdout)
        self._story = Story(self._view)
        self._record = Record(
            seed=options.seed,
            data={"customers": self._pace.customers, "orders": self._pace.orders},
        )
        self._ended_by: signal.Signals | None = None
        self._kept: dict[str, str] = {}

    async def run(self) -> int:
        """Play, print, and return the exit status; no process is left unless that was asked."""
        work = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in ENDS:
            loop.add_signal_handler(number, self._end, number, work)
        workplace = open_workplace(self._options.folder)
        self._view.open()
        try:
            await self._produce(workplace)
        except asyncio.CancelledError:
            if self._ended_by is None:
                raise
            self._view.close()
            self._clear_away(workplace)
            sys.stderr.write("the demo was ended, and so was every process that it started.\n")
            return ENDS[self._ended_by]
        finally:
            self._view.close()
        self._clear_away(workplace)
        self._tell_result()
        return ExitCode.OK if is_ok(self._record) else ExitCode.ERROR

    async def _produce(self, workplace: Workplace) -> None:
        chaos = plan_chaos(self._options.seed) if self._options.chaos else NO_CHAOS
        production = Production(workplace, self._pace, chaos, self._story, self._record)
        try:
            await production.perform()
            if self._options.keep:
                self._kept = await production.leave_running()
        except (CrossfadeError, OSError) as error:
            self._record.error = str(error) or type(error).__name__
        except BaseException:
            production.children.kill_now()
            raise
        finally:
            if not self._kept:
                await production.take_down()
            self._record.seconds = self._story.seconds

    def _end(self, number: signal.Signals, work: "asyncio.Task[int] | None") -> None:
        self._ended_by = number
        if work is not None:
            work.cancel()

    def _clear_away(self, workplace: Workplace) -> None:
        """Remove the folder, unless somebody may want to look into it."""
        was_ended = self._ended_by is not None
        if self._kept or self._options.folder is not None:
            return
        if was_ended or is_ok(self._record):
            workplace.remove()
        else:
            sys.stderr.write(f"databases, ledger, history and logs are in {workplace.folder}\n")

    def _tell_result(self) -> None:
        if self._options.json:
            document = document_of(self._record)
            if self._kept:
                document["kept"] = self._kept
            sys.stdout.write(encode(document).decode() + "\n")
            sys.stdout.flush()
        else:
            for line in self._result_lines():
                sys.stdout.write(line + "\n")
        if self._record.error is not None:
            sys.stderr.write(f"error: {self._record.error}\n")

    def _result_lines(self) -> Iterator[str]:
        yield ""
        for line in lines_of(self._record):
            verdict, rest = line[:VERDICT_WIDTH], line[VERDICT_WIDTH:]
            yield paint(verdict, COLOURS[verdict]) + rest if verdict in COLOURS else line
        if not self._kept:
            return
        yield ""
        yield "Everything runs on, with a tenth of the callers; their history grows 20 MB an hour."
        for name in ("gateway", "control", "legacy", "new", "folder"):
            yield f"  {name:<8} {self._kept[name]}"
        yield "Look around:"
        yield f"  cd {self._kept['folder']} && . ./demo.env && crossfade status --watch"
        yield "Stop everything, then remove the folder:"
        yield f"  {self._kept['stop']}; rm -r {self._kept['folder']}"


def run(options: DemoOptions) -> int:
    """Run the demo; returns the exit status.

    Raises:
        DemoError: there is no place to run it in.

    """
    return asyncio.run(Run(options).run())
