"""The description of one side's HTTP service."""

from dataclasses import dataclass

from crossfade.errors import DefinitionError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds_of(text: str | float) -> float:
    """A span such as "10s", "250ms" or "1m" (or a number of seconds) in seconds.

    Raises:
        DefinitionError: it is no span, or not above zero.

    """
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        digits = text.rstrip("ms")
        unit = text[len(digits) :]
        try:
            seconds = float(digits) * _UNITS[unit or "s"]
        except (ValueError, KeyError) as error:
            raise DefinitionError(
                f'"{text}" is no span of time. Write "10s" or "250ms".'
            ) from error
    if seconds <= 0:
        raise DefinitionError(f'a span of time must be above zero, not "{text}".')
    return seconds


@dataclass(frozen=True, slots=True)
class HttpService:
    """One side's service, by its base address."""

    url: str
    """Such as `http://127.0.0.1:8401`, or a reference: `${env:NAME}`, `${file:PATH}`."""
    answers_within: str | float = "10s"
    """After that an unanswered call has certainly ended; how long a write may stay in doubt."""

    @property
    def answers_within_seconds(self) -> float:
        """`answers_within` in seconds."""
        return seconds_of(self.answers_within)
