"""Connections to one Redis server; errors translated by whether a command was sent."""

from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.store_description import without_secrets
from crossfade.store.redis_options import RedisOptions

Answer = Any
"""What a command gives: bytes, numbers, None, lists of these."""

_PASSING = ("BUSY", "MISCONF", "NOREPLICAS")
_PASSING_KINDS = (OutOfMemoryError, ReadOnlyError, MasterDownError)
"""Refusals before anything was written that pass by themselves, or by somebody's help."""
_NO_RIGHT = (AuthenticationError, AuthorizationError, NoPermissionError)


class RedisConnections:
    """Runs one command at a time on each of a bounded number of connections.

    Nothing is ever sent a second time by itself.

    Raises:
        ConfigurationError: the URL is none of a Redis server.

    """

    def __init__(self, url: str, options: RedisOptions) -> None:
        self.name = without_secrets(url)
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                max_connections=options.connections_max,
                timeout=options.connect_seconds_max,
                socket_connect_timeout=options.connect_seconds_max,
                socket_timeout=options.answer_seconds_max,
                retry=Retry(NoBackoff(), 0),
                retry_on_error=[],
                decode_responses=False,
            )
        except ValueError as error:
            raise ConfigurationError(
                f"{self.name!r} is no address of a Redis server. Write redis://host:6379/0."
            ) from error

    async def read(self, *command: object) -> Answer:
        """Run a command that changes nothing, or nothing that matters if it is run twice.

        Raises:
            ConfigurationError: the server refuses our credentials.
            StoreUnreachableError: no answer; may be repeated.
            StoreError: the server answers that it cannot do that.

        """
        try:
            return await self.write(*command)
        except StoreOutcomeUnknownError:
            # The server may have been restarted, and all idle connections with it.
            with suppress(RedisError, OSError):
                await self._pool.disconnect(inuse_connections=False)
        try:
            return await self.write(*command)
        except StoreOutcomeUnknownError as error:
            raise StoreUnreachableError(str(error)) from error

    async def write(self, *command: object) -> Answer:
        """Run a command, or a script, that puts.

        Raises:
            ConfigurationError: the server refuses our credentials.
            StoreOutcomeUnknownError: it was sent and not answered.
            StoreUnreachableError: certainly not applied.
            StoreError: the server answers that it cannot do that; nothing was changed.

        """
        connection = await self._connected()
        answered = False
        try:
            await connection.send_command(*command)
            answer = await connection.read_response()
            answered = True
        except (ResponseError, *_NO_RIGHT) as error:
            answered = isinstance(error, ResponseError)
            raise self._refusal(error) from error
        except (RedisError, OSError) as error:
            raise StoreOutcomeUnknownError(
                f"{self.name} did not answer ({type(error).__name__}): what was sent may or may "
                "not take place. See whether the server runs."
            ) from error
        finally:
            if not answered:
                # An answer that comes later must not be taken for that of the next command.
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            await self._pool.release(connection)
        return answer

    async def close(self) -> None:
        """Close every connection."""
        with suppress(RedisError, OSError):
            await self._pool.disconnect()

    async def _connected(self) -> AbstractConnection:
        try:
            connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # redis has no types for it
        except (ResponseError, *_NO_RIGHT) as error:
            raise self._refusal(error) from error
        except (RedisError, OSError) as error:
            raise StoreUnreachableError(
                f"{self.name} does not answer ({type(error).__name__}). "
                "See whether the server runs."
            ) from error
        return connection

    def _refusal(self, error: RedisError) -> StoreError | ConfigurationError:
        """What an error answer means: our scripts fail before their first write, or not at all."""
        code = _code_of(error)
        if isinstance(error, _NO_RIGHT):
            return ConfigurationError(
                f"{self.name} refuses our credentials, or does not let us do what we must "
                f"({code}). Correct the user in its URL, or grant it our commands and keys."
            )
        if isinstance(error, _PASSING_KINDS) or code in _PASSING or "SCRIPT KILL" in str(error):
            return StoreUnreachableError(
                f"{self.name} refuses writes for now ({code}). Nothing was changed."
            )
        return StoreError(f"{self.name} refused a command ({code}). Run `crossfade doctor`.")


def _code_of(error: RedisError) -> str:
    """The server's code of an error; of those that the driver knows it tells its own name."""
    word = str(error).partition(" ")[0].rstrip(":")
    return word if word.isupper() else type(error).__name__
