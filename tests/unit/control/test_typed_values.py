"""What is typed is understood, or answered with what was meant; what is printed is harmless."""

import pytest

from crossfade.control.cli.choices import UsageError, keys_of, stage_of
from crossfade.control.cli.output import harmless, key_text, moment, paint, table
from crossfade.control.cli.progress import Bar, span
from crossfade.model.stage import Stage


def test_a_stage_is_known_by_its_name() -> None:
    """With a dash too."""
    assert stage_of("read-only") is Stage.READ_ONLY
    with pytest.raises(UsageError, match='"shadow"') as caught:
        stage_of("shdow")

    assert caught.value.exit_code == 2


def test_keys_are_texts_or_lists() -> None:
    """Whether a text is a number is for the entity to say."""
    assert keys_of(["17", '["de", 17]', "-1"]) == (("17",), ("de", 17), ("-1",))


@pytest.mark.parametrize("text", ["[", "[]", "[1.5]", "[null]", '[["a"]]'])
def test_what_is_no_key_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(UsageError):
        keys_of([text])


def test_control_characters_never_reach_a_terminal() -> None:
    """Escapes, line breaks and direction marks are written out."""
    assert harmless("a\x1b[31m\r\nb\u202e") == "a\\x1b[31m\\r\\nb\\u202e"
    assert "\x1b" not in "".join(table(("a",), [("\x1b[2J",)]))


def test_tables_line_up_and_cut_what_is_too_long() -> None:
    """Without rows there is no table."""
    assert table(("name", "n"), [("a", 1), (None, 22)]) == ["name  n", "a     1", "-     22"]
    assert table(("name",), []) == []
    assert len(table(("n",), [("x" * 500,)])[1]) == 100


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not where NO_COLOR is set."""

    class Terminal:
        """Says that it is one."""

        def isatty(self) -> bool:
            """It is."""
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "31", Terminal()) == "\x1b[31mx\x1b[0m"  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "31", Terminal()) == "x"  # type: ignore[arg-type]


def test_keys_and_times_are_shown_as_they_are_typed() -> None:
    """One part plainly, several as a list; a time in UTC."""
    assert (key_text([17]), key_text(["de", 17])) == ("17", '["de",17]')
    assert (moment(None), moment(86400)) == ("-", "1970-01-02 00:00:00")


def test_progress_tells_pace_and_time_left() -> None:
    """Or what it waits for."""
    going = Bar("order", 500, 1000, 250.0, 2.0, None)
    waiting = Bar("order", 0, 0, 0.0, None, "the barrier")

    assert going.line() == "order: 500 of about 1,000 rows (50 %), 250 rows/s, 2 s left"
    assert waiting.line() == "order: 0 of about 0 rows, waits: the barrier"
    assert [span(seconds) for seconds in (5, 90, 9000)] == ["5 s", "2 min", "2.5 h"]
