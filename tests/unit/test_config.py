"""Settings: file before environment before flags; mistakes are named, values are not."""

from pathlib import Path

import pytest

from crossfade.backfill.options import BackfillOptions
from crossfade.config import Config, load_config
from crossfade.errors import ConfigurationError
from crossfade.gateway.options import GatewayOptions


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the machine that runs the tests do not count."""
    import os  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("CROSSFADE_")]:
        monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    """A folder with these settings."""
    (folder / "crossfade.toml").write_text(text)
    return folder


def test_without_a_file_everything_is_as_the_options_say(tmp_path: Path) -> None:
    """No default is typed twice."""
    config = load_config(tmp_path)

    assert isinstance(config, Config)
    assert config.gateway.connections_max == GatewayOptions().connections_max
    assert config.backfill == BackfillOptions()
    assert config.ledger_file == tmp_path / ".crossfade" / "ledger.db"


def test_flags_win_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer changes only what it names."""
    folder = write(tmp_path, "[gateway]\nport = 1\nconnections_max = 2\nhost = 'a'\n")
    monkeypatch.setenv("CROSSFADE_GATEWAY__PORT", "3")
    monkeypatch.setenv("CROSSFADE_GATEWAY__CONNECTIONS_MAX", "4")

    gateway = load_config(folder, {"gateway": {"port": 5}}).gateway

    assert (gateway.port, gateway.connections_max, gateway.host) == (5, 4, "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ledgr = 'x'", 'unknown setting "ledgr".*Did you mean "ledger"'),
        ("[gateway]\nprt = 1", r'unknown setting "prt" in \[gateway\].*Did you mean "port"'),
        ("[ledger]\nx = 1", "ledger"),
        ("[gateway]\nport = 'many'", "gateway.port"),
        ("[gateway]\nport = 70000", "gateway.port is 70000"),
        ("gateway = 8400", "gateway"),
        ("log_level = 'loud'", "log_level"),
        ("[control]\nhost = '0.0.0.0'", "loopback only"),
        ("ledger = 'postgresql://me:hidden@h'", "names no database"),
        ("ledger = 'mongodb://me:hidden@h/db'", "mongodb"),
        ("[shared_ledger]\ndead_seconds = 2", "four times beat_seconds"),
        ("ledger = 'ledger.db'", "no URL"),
        ("not toml", "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """It says what, where, and what was probably meant; never a value that may be secret."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_config(write(tmp_path, text))

    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[backfill]\nchunk_rows = 0", "backfill.chunk_rows is 0. Give a number above 0"),
        ("[reconciler]\nconverges_max = -1", "reconciler.converges_max is -1"),
        ("[stages]\nwatch_seconds = nan", "stages.watch_seconds is nan"),
        (
            "[gates]\nsoak_seconds_min = -1.0",
            "soak_seconds_min is -1. Give a number of at least 0",
        ),
    ],
)
def test_a_number_with_which_nothing_works_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    """Before a node starts that would stand still, or never rest."""
    with pytest.raises(ConfigurationError, match=words):
        load_config(write(tmp_path, text))


def test_zero_is_a_number_where_it_means_something(tmp_path: Path) -> None:
    """Such as: compare nothing, wait for nothing."""
    text = "[comparison]\nsample_fraction = 0\n[gates]\nsoak_seconds_min = 0"

    assert load_config(write(tmp_path, text)).comparison.sample_fraction == 0


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CROSSFADE_LEDGERS", "CROSSFADE_LEDGER"),
        ("CROSSFADE_GATEWAY__PROT", "CROSSFADE_GATEWAY__PORT"),
    ],
)
def test_a_variable_that_sets_nothing_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    """Our prefix is ours, but for the failpoints."""
    monkeypatch.setenv("CROSSFADE_FAILPOINTS", "")
    load_config(tmp_path)
    monkeypatch.setenv(variable, "1")

    with pytest.raises(ConfigurationError, match=f'"{meant}"'):
        load_config(tmp_path)


def test_the_ledgers_address_may_be_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is resolved, and counts from the definition's folder."""
    monkeypatch.setenv("WHERE", "sub/x.db")

    config = load_config(write(tmp_path, "ledger = 'sqlite:///${env:WHERE}'"))

    assert config.ledger_file == tmp_path / "sub" / "x.db"


def test_a_ledger_in_a_database_shows_no_password(tmp_path: Path) -> None:
    """What else belongs to a node is in the folder that a file would be in."""
    (tmp_path / "crossfade.toml").write_text(
        "ledger = 'postgresql://me:hidden@db.internal:5433/shop?schema=x&sslmode=require'\n"
    )

    config = load_config(tmp_path)

    assert config.ledger_shown == "postgresql://db.internal:5433/shop?schema=x"
    assert config.ledger_file.parent == tmp_path / ".crossfade"
