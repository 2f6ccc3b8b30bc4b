"""The control API's app: one route a use case, errors as problems."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from crossfade.codec import encode
from crossfade.control.api.guard import HEADERS, BodyTooLargeError
from crossfade.control.api.problems import CONTENT_TYPE, problem, problem_of
from crossfade.control.endpoints import CHANGES, LOOKS
from crossfade.control.exit_codes import ExitCode
from crossfade.control.requests import MoveAsked
from crossfade.control.service import Change, Service
from crossfade.errors import ChangedMeanwhileError, CrossfadeError

EVERY_ANSWER = {name.decode(): value.decode() for name, value in HEADERS}
MOVES = frozenset({"promote", "rollback"})
"""What `If-Match` guards: its value is the number of the decision that the caller saw."""


class Document(JSONResponse):
    """A document by our own codec: exact numbers, never cached."""

    def __init__(self, content: Any, status_code: int = 200, **others: Any) -> None:  # noqa: ANN401
        super().__init__(content, status_code, **others)
        self.headers.update(EVERY_ANSWER)

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """The bytes."""
        return encode(content)


def control_app(service: Service) -> FastAPI:
    """The app over one node's use cases; without pages that load anything from elsewhere."""
    app = FastAPI(
        title="crossfade control", docs_url=None, redoc_url=None, openapi_url=None,
        default_response_class=Document,
    )  # fmt: skip
    for name, look in service.looks.items():
        app.get(LOOKS[name], name=name, response_model=None)(look)
    for name, change in service.changes.items():
        handler = _with_precondition(change) if name in MOVES else change
        app.post(CHANGES[name], name=name, response_model=None)(handler)
    app.add_exception_handler(CrossfadeError, _failed)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(BodyTooLargeError, _too_large)
    app.add_exception_handler(404, _unknown)
    app.add_exception_handler(405, _unknown)
    return app


def _with_precondition(change: Change) -> Change:
    """The same use case, refused where `If-Match` names another decision than the one in force."""

    async def handler(
        asked: MoveAsked, if_match: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        if if_match is None:
            return await change(asked)
        number = if_match.strip('" ')
        if not number.isdecimal():
            raise ChangedMeanwhileError("If-Match is no number of a decision. Look at the stage.")
        return await change(replace(asked, expected=int(number)))

    return handler


async def _failed(_request: Request, error: Exception) -> Response:
    known = error if isinstance(error, CrossfadeError) else CrossfadeError(str(error))
    return _answer(problem_of(known))


async def _not_understood(_request: Request, error: Exception) -> Response:
    """The first thing that does not fit, without its value."""
    detail = "the request does not fit"
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        detail = f"{place}: {first['msg']}"
    return _answer(problem(422, "not-understood", f"{detail}.", ExitCode.USAGE))


async def _too_large(_request: Request, _error: Exception) -> Response:
    return _answer(problem(413, "too-large", "Send less.", ExitCode.USAGE))


async def _unknown(_request: Request, _error: Exception) -> Response:
    detail = "There is no such use case: command and node may be of different versions."
    return _answer(problem(404, "no-use-case", detail))


def _answer(content: dict[str, Any]) -> Response:
    return Document(content, content["status"], media_type=CONTENT_TYPE)
