"""What is raised where a process that copied a page is gone."""

from crossfade.errors import StoreOutcomeUnknownError


class ProcessLostError(StoreOutcomeUnknownError):
    """It ended, or was ended because it took too long; what it put may still be applied."""
