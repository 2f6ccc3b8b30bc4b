"""What the errors of MongoDB's driver mean for a put."""

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.errors import (
    ConfigurationError as DriverConfigurationError,
)

from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)

_NO_RIGHT = {13, 18}
_VALIDATION = 121
_DUPLICATE = 11000


def is_passing(error: PyMongoError) -> bool:
    """Whether the transaction was certainly undone and may be run again at once."""
    return error.has_error_label("TransientTransactionError")


def is_open(error: PyMongoError) -> bool:
    """Whether nobody knows how a commit ended."""
    return error.has_error_label("UnknownTransactionCommitResult")


def duplicate_of(error: PyMongoError) -> dict[str, object] | None:
    """The index's values, where a value that must be unique is taken; else None."""
    details = _details(error)
    if details.get("code") != _DUPLICATE:
        return None
    found = details.get("keyValue")
    return dict(found) if isinstance(found, dict) else {}


def is_refused(error: PyMongoError) -> bool:
    """Whether the collection's validation refuses the document."""
    return _details(error).get("code") == _VALIDATION


def translated(error: PyMongoError, name: str) -> Exception:
    """Our error for one of the driver's; a put's commit is judged before (`is_open`)."""
    if isinstance(error, OperationFailure) and error.code in _NO_RIGHT:
        return ConfigurationError(
            f"{name} does not let us do what we must. Correct the user, or grant readWrite."
        )
    if is_open(error):
        return StoreOutcomeUnknownError(
            f"{name} did not say how a commit ended: the put may or may not take place."
        )
    if isinstance(error, DriverConfigurationError):
        return ConfigurationError(f"{name} cannot be used as it is described. Correct its URL.")
    kinds = (ServerSelectionTimeoutError, ConnectionFailure, ExecutionTimeout)
    if isinstance(error, kinds) or is_passing(error):
        return StoreUnreachableError(
            f"{name} does not answer ({type(error).__name__}). See whether the server runs."
        )
    return StoreError(
        f"{name} refused a command ({type(error).__name__}). Run `crossfade doctor`."
    )


def _details(error: PyMongoError) -> dict[str, object]:
    if isinstance(error, BulkWriteError):
        errors = (error.details or {}).get("writeErrors") or [{}]
        return dict(errors[0])
    if isinstance(error, DuplicateKeyError | OperationFailure):
        return {"code": error.code, **(error.details or {})}
    return {}
