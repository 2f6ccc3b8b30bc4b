"""The first page is there at once, and every command teaches with an example."""

import resource
import subprocess
import sys

import pytest

from crossfade.control.cli.overview import SECTIONS
from tests.acceptance.cli.shop import Shop
from tests.command_tree import command_line, command_names

SECONDS_MAX = 0.25
TRIES = 5


def test_the_first_page_is_there_at_once() -> None:
    """The processor's time of the whole process: what a machine without other work would take."""
    seconds = []
    for _ in range(TRIES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "crossfade", "--help"], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert b"crossfade init" in done.stdout

    assert min(seconds) < SECONDS_MAX


def test_the_first_page_names_every_command(shop: Shop) -> None:
    """And nothing else."""
    app = command_line()
    assert app is not None
    commands = {name.split()[1] for name in command_names(app)}

    assert commands == {one.name for section in SECTIONS.values() for one in section}
    assert all(f"  {name} " in shop.run("--help").out for name in commands)
    assert shop.run().out == shop.run("--help").out


def every_command() -> list[str]:
    """Each command that does something by itself."""
    app = command_line()
    assert app is not None
    names = list(command_names(app))
    return [name for name in names if not any(other.startswith(f"{name} ") for other in names)]


@pytest.mark.parametrize("name", every_command())
def test_every_command_teaches_with_an_example(shop: Shop, name: str) -> None:
    """Its help ends a sentence with one, and can be read without a terminal."""
    ended = shop.run(*name.split()[1:], "--help")

    assert ended.code == 0
    assert "For example:" in ended.out
    typed = name.removesuffix(" list")
    assert f"{typed} " in f"{ended.out.split('For example:')[1]} "


def test_the_version_is_told(shop: Shop) -> None:
    """On stdout."""
    assert shop.run("--version").out.strip()[0].isdigit()
