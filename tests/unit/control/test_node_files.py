"""A running node is found by two private files beside its ledger."""

from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.config import load_config
from crossfade.control.node_files import NodeFiles, RunningNode
from crossfade.errors import ConfigurationError

NODE = RunningNode(1, "shop", "http://127.0.0.1:2", "http://127.0.0.1:3", 4.0)


def test_what_is_published_is_found_until_it_is_withdrawn(tmp_path: Path) -> None:
    """Both files are the owner's alone, and so is their folder."""
    files = NodeFiles(load_config(tmp_path))
    assert files.running() is None

    files.publish(NODE, "secret")

    assert (files.running(), files.read_token()) == (NODE, "secret")
    assert {file.stat().st_mode & 0o777 for file in (files.node, files.token)} == {0o600}
    assert files.node.parent.stat().st_mode & 0o777 == 0o700
    files.withdraw()
    files.withdraw()
    assert (files.running(), files.token.exists()) == (None, False)


def test_a_link_that_somebody_left_is_replaced_not_followed(tmp_path: Path) -> None:
    """The token never lands in a file of somebody else's choice."""
    files = NodeFiles(load_config(tmp_path))
    files.token.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    files.token.symlink_to(elsewhere)

    files.publish(NODE, "secret")

    assert not elsewhere.exists()
    assert not files.token.is_symlink()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"other": 1}'])
def test_a_file_that_says_nothing_is_no_node(tmp_path: Path, content: str) -> None:
    """Left by another release, or cut off."""
    files = NodeFiles(load_config(tmp_path))
    files.node.parent.mkdir()
    files.node.write_text(content)

    assert files.running() is None


def test_a_token_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A node of another user runs."""
    with pytest.raises(ConfigurationError, match="as the user"):
        NodeFiles(load_config(tmp_path)).read_token()


def test_a_node_that_stops_leaves_the_files_of_a_later_one(tmp_path: Path) -> None:
    """Several processes share a PostgreSQL ledger, and a folder: the newest is the one found."""
    first, second = (NodeFiles(load_config(tmp_path)) for _ in range(2))
    later = replace(NODE, pid=2)
    first.publish(NODE, "one")
    second.publish(later, "two")

    first.withdraw()

    assert (first.running(), first.read_token()) == (later, "two")
    second.withdraw()
    assert (first.running(), first.token.exists()) == (None, False)
