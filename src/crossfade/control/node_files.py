"""How the command line finds a running node: two private files beside the ledger."""

import contextlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.codec import CodecError, decode, encode
from crossfade.config import Config
from crossfade.errors import ConfigurationError

NODE_FILE = "node.json"
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class RunningNode:
    """Where a node can be reached, as it wrote it down when it started."""

    pid: int
    migration: str
    control_url: str
    gateway_url: str
    """Empty where the node has no gateway: its migration's operations are functions."""
    started: float
    """Wall-clock seconds, for people."""


class NodeFiles:
    """The node's file and its token's file."""

    def __init__(self, config: Config) -> None:
        folder = config.ledger_file.parent
        self.node = folder / NODE_FILE
        self.token = folder / config.control.token_file
        self._published: RunningNode | None = None

    def publish(self, node: RunningNode, token: str) -> None:
        """Say where the node is; the token first, so that whoever finds the node has it.

        Crash later: both files stay; nobody answers at the address, and the next node
        overwrites them.

        Raises:
            ConfigurationError: the folder cannot be written.

        """
        self._published = node
        try:
            self.node.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            _write_private(self.token, token.encode())
            _write_private(self.node, encode(asdict(node)))
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {error.filename}: {error.strerror}. "
                "Correct the permissions of the ledger's folder."
            ) from error

    def withdraw(self) -> None:
        """The node has stopped; may be repeated. Files of another one, begun since, stay."""
        found = self.running()
        if found is not None and found != self._published:
            return
        for file in (self.node, self.token):
            with contextlib.suppress(OSError):
                file.unlink()

    def running(self) -> RunningNode | None:
        """The node that said that it runs; it may be dead all the same."""
        try:
            return RunningNode(**decode(self.node.read_bytes()))
        except (OSError, CodecError, TypeError):
            return None

    def read_token(self) -> str:
        """The token. Raises ConfigurationError where it cannot be read."""
        try:
            return self.token.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"a node runs, and its token {self.token} cannot be read. Run the command as the "
                "user that runs the node."
            ) from error


def _write_private(file: Path, data: bytes) -> None:
    """Write a file that only its owner may read, never through a link that somebody left."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    with os.fdopen(os.open(beside, flags, PRIVATE), "wb") as opened:
        opened.write(data)
    beside.replace(file)
