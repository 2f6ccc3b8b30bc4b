"""How users type against crossfade: checked by mypy, never run.

A line that stops type-checking here is a change that breaks users.
"""

from typing import assert_type

from crossfade import errors


def exit_code_is_a_number(error: errors.CrossfadeError) -> int:
    """Every error of ours says what a command exits with."""
    return assert_type(error.exit_code, int)


def reasons_are_plain_texts(error: errors.MoveRefusedError) -> tuple[str, ...]:
    """What a gate said can be shown as it is."""
    return assert_type(error.reasons, tuple[str, ...])
