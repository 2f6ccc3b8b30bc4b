"""The demo's folder: data, the migration's definition and its settings, as a user has them."""

import os
import random
import shlex
import shutil
import socket
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from crossfade.config import Config, load_config
from crossfade.demo.data import DemoData, create_databases, keep_snapshot
from crossfade.demo.pace import Pace
from crossfade.demo.processes import DemoError

PORT_MIN, PORT_MAX = 20_000, 30_000
"""Below what systems hand out to callers: nobody takes the gateway's port while it is down."""
PORT_TRIES_MAX = 200

SETTINGS = """\
# The demo's settings: thresholds for minutes, where a real migration waits for days.
log_level = "warning"

[gateway]
port = {gateway_port}

[control]
port = 0

[comparison]
# What was compared is counted in the ledger this often.
flush_seconds = 0.25

[gates]
# Comparisons of each read before `live`; and how long `live` has to hold before `completed`.
compared_min = 20
soak_seconds_min = {soak_seconds}
"""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where everything of one demo is."""

    folder: Path
    gateway_port: int

    @property
    def legacy_database(self) -> Path:
        """Legacy's SQLite file."""
        return self.folder / "legacy.db"

    @property
    def new_database(self) -> Path:
        """New's SQLite file."""
        return self.folder / "new.db"

    @property
    def initial(self) -> Path:
        """Legacy's file as it was before the first request, for the judge."""
        return self.folder / "legacy-at-the-start.db"

    @property
    def history(self) -> Path:
        """What the callers wrote down."""
        return self.folder / "history.jsonl"

    @property
    def gateway_url(self) -> str:
        """Where callers go."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def config(self) -> Config:
        """The settings, as every command reads them."""
        return load_config(self.folder)

    def addresses(self, legacy_url: str, new_url: str) -> dict[str, str]:
        """What `migration.py` refers to: variables of the environment."""
        return {
            "DEMO_LEGACY_URL": legacy_url,
            "DEMO_NEW_URL": new_url,
            "DEMO_LEGACY_DB": f"sqlite:///{self.legacy_database}",
            "DEMO_NEW_DB": f"sqlite:///{self.new_database}",
        }

    def keep_addresses(self, addresses: dict[str, str]) -> Path:
        """Write them down for a shell: ``. ./demo.env``."""
        file = self.folder / "demo.env"
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in addresses.items())
        file.write_text("".join(lines), encoding="utf-8")
        return file

    def fill(self, pace: Pace, seed: int) -> None:
        """Generate the data, and write definition and settings.

        Raises:
            DemoError: the folder already holds a demo.

        """
        if self.legacy_database.exists():
            raise DemoError(f"{self.folder} already holds a demo. Name an empty folder.")
        data = DemoData(seed=seed, customers=pace.customers, orders=pace.orders)
        create_databases(data, legacy=self.legacy_database, new=self.new_database)
        keep_snapshot(self.legacy_database, self.initial)
        definition = files("crossfade.demo").joinpath("migration.py").read_text(encoding="utf-8")
        (self.folder / "migration.py").write_text(definition, encoding="utf-8")
        settings = SETTINGS.format(gateway_port=self.gateway_port, soak_seconds=pace.soak_seconds)
        (self.folder / "crossfade.toml").write_text(settings, encoding="utf-8")

    def remove(self) -> None:
        """Delete the folder with all that is in it; may be repeated."""
        shutil.rmtree(self.folder, ignore_errors=True)


def open_workplace(folder: Path | None) -> Workplace:
    """Make the folder, a temporary one where none is named, and choose a port.

    Raises:
        DemoError: the folder cannot be made, or no port is free.

    """
    try:
        if folder is None:
            chosen = Path(tempfile.mkdtemp(prefix="crossfade-demo-"))
        else:
            chosen = folder.absolute()
            chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(
            f"cannot make the folder {error.filename}: {error.strerror}. Name another --folder."
        ) from error
    return Workplace(chosen, free_port())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no caller is given by chance."""
    chance = random.Random(os.getpid())  # noqa: S311 - any port will do
    for _ in range(PORT_TRIES_MAX):
        port = chance.randrange(PORT_MIN, PORT_MAX)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError("no port of 127.0.0.1 is free. End what listens there.")
