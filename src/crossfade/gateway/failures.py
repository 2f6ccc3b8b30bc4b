"""How many callers met a failure since the present stage began; one of the gates asks for it."""


class Failures:
    """Counts failed answers of this process, by stage decision; a restart begins anew."""

    def __init__(self) -> None:
        self._decision = 0
        self._count = 0

    def note(self, decision: int) -> None:
        """A caller got a 5xx of the serving side, or of ours because that side failed."""
        if decision != self._decision:
            self._decision, self._count = decision, 0
        self._count += 1

    def count(self, decision: int) -> int:
        """Failures since that decision was made; 0 for one under which nothing failed."""
        return self._count if decision == self._decision else 0
