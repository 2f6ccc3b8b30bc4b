"""What a command's exit code means; errors carry theirs (`CrossfadeError.exit_code`)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    ERROR = 1
    """Something failed that no other code names."""
    USAGE = 2
    """The command line itself is wrong; nothing was tried."""
    CONFIGURATION = 3
    """The definition, a setting or a database is not as it must be."""
    UNREACHABLE = 4
    """A service, database or node does not answer."""
    REFUSED = 5
    """A gate or the stage machine says no; nothing was changed."""
    DIFFERENCES = 6
    """The work was done, and the sides differ."""
    PARTIAL = 7
    """Some of the work was done; the rest is named."""
    LOCKED = 8
    """Another process holds the ledger."""
    INTERRUPTED = 130
    """Ctrl-C; the same command goes on where this one stopped."""
    TERMINATED = 143
    """SIGTERM; the same command goes on where this one stopped."""
