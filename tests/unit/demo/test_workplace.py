"""The demo's folder holds what a user of the product would have written."""

import socket
from pathlib import Path

import pytest

from crossfade.config import load_config
from crossfade.demo.pace import FAST, Pace
from crossfade.demo.processes import DemoError
from crossfade.demo.workplace import PORT_MAX, PORT_MIN, Workplace, free_port, open_workplace
from crossfade.migration import load_migration

SMALL = Pace(
    customers=20, orders=20, look_around_seconds=0.1, canary_seconds=0.1, soak_seconds=2.5
)


def test_the_settings_are_settings_of_the_product(tmp_path: Path) -> None:
    """`crossfade.toml` is read as any other, and the gate waits as long as the demo does."""
    workplace = Workplace(tmp_path, 23456)
    workplace.fill(SMALL, seed=1)
    config = load_config(tmp_path)

    assert config.gateway.port == 23456
    assert config.gates.soak_seconds_min == 2.5


def test_the_definition_can_be_loaded(tmp_path: Path) -> None:
    """`migration.py` is the demo's own definition, copied."""
    workplace = Workplace(tmp_path, 23456)
    workplace.fill(SMALL, seed=1)

    assert load_migration(tmp_path / "migration.py").name == "shop"


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    """Data of an earlier demo is not mixed with new data."""
    workplace = Workplace(tmp_path, 23456)
    workplace.fill(SMALL, seed=1)

    with pytest.raises(DemoError, match="already holds a demo"):
        workplace.fill(SMALL, seed=1)


def test_addresses_are_kept_for_a_shell(tmp_path: Path) -> None:
    """Values are quoted, so that a shell reads them as they are."""
    workplace = Workplace(tmp_path / "a folder", 23456)
    workplace.folder.mkdir()
    addresses = workplace.addresses("http://127.0.0.1:1", "http://127.0.0.1:2")
    text = workplace.keep_addresses(addresses).read_text(encoding="utf-8")

    assert "export DEMO_LEGACY_URL=http://127.0.0.1:1\n" in text
    assert f"'sqlite:///{tmp_path}/a folder/legacy.db'" in text


def test_a_temporary_folder_can_be_removed() -> None:
    """Nothing stays behind."""
    workplace = open_workplace(None)
    was_there = workplace.folder.is_dir()
    workplace.remove()
    workplace.remove()

    assert (was_there, workplace.folder.exists()) == (True, False)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """In one line, with what to do."""
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(DemoError, match="Name another --folder"):
        open_workplace(file / "below")


def test_the_port_is_one_that_callers_are_never_given() -> None:
    """Else a caller could take it while the gateway is down."""
    port = free_port()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", port))

        assert PORT_MIN <= port < PORT_MAX
        assert free_port() != port


def test_fast_moves_less() -> None:
    """`--fast` says how much less in what it prints."""
    assert FAST.customers < 20_000
    assert FAST.seconds_max == 30.0
