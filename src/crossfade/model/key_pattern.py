"""A text with the parts of a key in it, such as `customer:{id}`: made and taken apart exactly."""

import re
from collections.abc import Mapping
from functools import cached_property

from crossfade.errors import DefinitionError
from crossfade.model.key import Key, KeyPart

_WHOLE_LIMIT = 2**63
_PLACE = re.compile(r"\{([^{}]+)\}")
_PARTS = {int: r"(-?[0-9]{1,19})", str: r"(.*)"}


class KeyPattern:
    """Text to key and back; a key whose text could mean another key has no text.

    Raises:
        DefinitionError: a field of the key is missing, unknown or named twice.

    """

    def __init__(self, text: str, key: Mapping[str, type]) -> None:
        self.text = text
        self._types = tuple(key.values())
        literals = _PLACE.split(text)[::2]
        names = _PLACE.findall(text)
        if sorted(names) != sorted(key):
            wanted = " and ".join(f"{{{name}}}" for name in key)
            raise DefinitionError(f"{text!r} must have each field of the key once: {wanted}.")
        self._literals = tuple(literals)
        self._places = tuple(list(key).index(name) for name in names)
        """For each place in the text: which part of the key stands there."""

    @property
    def literal_start(self) -> str:
        """What every text begins with."""
        return self._literals[0]

    @property
    def literals(self) -> tuple[str, ...]:
        """The texts before, between and behind the parts."""
        return self._literals

    def format(self, key: Key) -> str | None:
        """The text of a key; None where the key has none of its own.

        That is one of another shape, a whole number beyond 64 bits, text that is no Unicode, or
        one whose text would be read as another key.
        """
        if not self._fits(key):
            return None
        parts = [str(key[place]) for place in self._places]
        pairs = zip(self._literals, [*parts, ""], strict=True)
        text = "".join(literal + part for literal, part in pairs)
        return text if self.parse(text) == key else None

    def parse(self, text: str) -> Key | None:
        """The key of a text; None where it is the text of none."""
        found = self._expression.fullmatch(text)
        if found is None:
            return None
        parts: list[KeyPart] = [0] * len(self._types)
        for place, part in zip(self._places, found.groups(), strict=True):
            parts[place] = part if self._types[place] is str else int(part)
            if self._types[place] is int and str(parts[place]) != part:
                return None
        return tuple(parts) if self._fits(tuple(parts)) else None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = [_PARTS[self._types[place]] for place in self._places]
        pairs = zip(self._literals, [*parts, ""], strict=True)
        return re.compile("".join(re.escape(literal) + part for literal, part in pairs), re.DOTALL)

    def _fits(self, key: Key) -> bool:
        return fits(key, self._types)


def fits(key: Key, types: tuple[type, ...]) -> bool:
    """Whether a key is of these types, its numbers of 64 bits and its text Unicode."""
    if len(key) != len(types):
        return False
    return all(_fits_part(part, type_) for part, type_ in zip(key, types, strict=True))


def _fits_part(part: KeyPart, type_: type) -> bool:
    if type(part) is not type_:
        return False
    if isinstance(part, int):
        return -_WHOLE_LIMIT <= part < _WHOLE_LIMIT
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True
