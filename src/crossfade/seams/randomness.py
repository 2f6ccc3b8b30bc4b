"""Randomness as it is passed in: the system's here, a seeded one in tests."""

import random
import secrets
from typing import Protocol


class Randomness(Protocol):
    """Where identifiers, samples and jitter come from."""

    def identifier(self) -> str:
        """A new name of 32 hexadecimal digits that nobody can guess."""

    def fraction(self) -> float:
        """A number in [0, 1)."""


class SystemRandomness:
    """Identifiers from the operating system, fractions from a generator of our own."""

    def __init__(self) -> None:
        self._generator = random.Random()  # noqa: S311 - samples and jitter guard nothing

    def identifier(self) -> str:
        """See `Randomness.identifier`."""
        return secrets.token_hex(16)

    def fraction(self) -> float:
        """See `Randomness.fraction`."""
        return self._generator.random()


class SeededRandomness:
    """The same numbers for the same seed, for tests and simulation."""

    def __init__(self, seed: int) -> None:
        self._generator = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def identifier(self) -> str:
        """See `Randomness.identifier`."""
        return f"{self._generator.getrandbits(128):032x}"

    def fraction(self) -> float:
        """See `Randomness.fraction`."""
        return self._generator.random()
