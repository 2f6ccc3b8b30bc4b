"""The first page, `crossfade --help`: every command in the order of a migration.

It is printed without loading the command line's library, so that it is there at once.
"""

from dataclasses import dataclass

NAME = "crossfade"
PACKAGE = "crossfade.control.cli"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, what it does, and where it is."""

    name: str
    help: str
    place: str
    """Module and attribute under `crossfade.control.cli`."""

    @property
    def import_path(self) -> str:
        """Where the command line finds it when it is run."""
        return f"{PACKAGE}.{self.place}"


SECTIONS: dict[str, tuple[Command, ...]] = {
    "See it work": (
        Command("demo", "Move a small shop from start to end, under traffic.", "demo:demo"),
    ),
    "Start": (
        Command("init", "Write a migration.py and a crossfade.toml to start from.", "init:init"),
        Command(
            "doctor", "Check the definition, both services and both databases.", "doctor:doctor"
        ),
        Command("up", "Run the gateway, the workers and the control API.", "up:up"),
    ),
    "See where you are": (
        Command("status", "Where the migration stands, and what to do next.", "status:status"),
        Command("plan", "What a move of stage would do, and what is in its way.", "plan:plan"),
        Command("diffs", "Differences that were seen between the sides.", "diffs:app"),
        Command("dirty", "Keys whose sides are not known to agree.", "dirty:app"),
        Command("quarantine", "Keys that cannot converge, and why.", "quarantine:app"),
    ),
    "Move on, or back": (
        Command("stage", "Show, promote, roll back; who did it and why.", "stage:app"),
        Command("backfill", "Copy what was there before.", "backfill:app"),
        Command("verify", "Compare both sides key by key.", "verify:verify"),
        Command("repair", "Copy keys again.", "repair:repair"),
        Command("canary", "Let new serve a share of the reads.", "canary:app"),
        Command("freeze", "Hold all writes for a while.", "freeze:freeze"),
        Command("retire", "End the write-back to legacy, for good.", "retire:retire"),
        Command("ledger", "Show the ledger, or make the stores obey it.", "ledger:app"),
    ),
}

FOOT = """\
Every command: --help for its options and an example, --json for one document,
-m FILE for another migration.py than the nearest one at or above this folder.
Start with `crossfade demo`, or with `crossfade init` in an empty folder."""


def overview() -> str:
    """The first page."""
    width = max(len(one.name) for commands in SECTIONS.values() for one in commands)
    lines = ["Usage: crossfade COMMAND [OPTIONS]", ""]
    lines += ["Move a live service and its data to a replacement, while it keeps serving.", ""]
    for section, commands in SECTIONS.items():
        lines.append(f"{section}:")
        lines += [f"  {one.name:<{width}}  {one.help}" for one in commands]
        lines.append("")
    return "\n".join([*lines, FOOT])


def own_version() -> str:
    """The version of this package."""
    from importlib.metadata import version  # noqa: PLC0415 - takes longer than the page

    return version(NAME)
