"""One Redis server that a migration copies into: its epoch, fences and index of keys."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossfade.errors import (
    ConfigurationError,
    ForeignLedgerError,
    NotPreparedError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.store import redis_scripts
from crossfade.store.base import StoreEpoch, Together
from crossfade.store.redis_connection import Answer, RedisConnections
from crossfade.store.redis_options import RedisOptions
from crossfade.store.sql_fence import raised_epoch

_RAISE_TRIES = 20


class PuttingStore(Protocol):
    """A store of this server, as far as a put of several entities needs it."""

    def wanted(self, one: Together) -> Any:  # noqa: ANN401 - `Wanted`, which knows this module
        """What a record asks for; raises `CannotHoldError`."""


@dataclass(frozen=True, slots=True)
class _Standing:
    state: str
    epoch: StoreEpoch | None
    highest: int


class RedisDatabase:
    """A `FencedDatabase`; the stores of all entities on one server share it.

    What it keeps: a hash with the epoch, for each entity a hash of tokens and a sorted set of
    keys, all under `crossfade:{migration}`. A script is atomic, so a raised epoch waits for
    nothing. A server that does not keep every write through a restart counts as unprepared after
    one: whatever had been copied there may be gone, so that an operator prepares it anew and
    everything is copied again.
    """

    def __init__(
        self,
        url: str,
        *,
        migration: str,
        durable: bool | None = None,
        options: RedisOptions | None = None,
    ) -> None:
        self.url = url
        self.options = options or RedisOptions()
        self.connections = RedisConnections(url, self.options)
        self.ledger: tuple[str, int] | None = None
        self.stores: dict[str, PuttingStore] = {}
        """The stores on this server by entity: several are put in one script."""
        self._declared_durable = durable
        self._prefix = f"crossfade:{{{migration}}}"

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self.connections.name

    @property
    def state_key(self) -> str:
        """The Redis key of the epoch and all that is one for the migration."""
        return self._prefix

    def fence_key(self, entity: str) -> str:
        """The Redis key of the tokens of one entity."""
        return f"{self._prefix}:fence:{entity}"

    def index_key(self, entity: str) -> str:
        """The Redis key of the sorted keys of one entity."""
        return f"{self._prefix}:index:{entity}"

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`."""
        return (await self._standing()).epoch

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`."""
        for _ in range(_RAISE_TRIES):
            found = (await self._standing()).epoch
            held = wanted if found is None else raised_epoch(found, wanted, self.name)
            if held == found or await self._set_epoch(found, held):
                self.ledger = (held.ledger_id, held.incarnation)
                return held
        raise StoreUnreachableError(
            f"the epoch of {self.name} keeps changing. See which other nodes run."
        )

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`."""
        for _ in range(_RAISE_TRIES):
            if await self._set_epoch((await self._standing()).epoch, wanted):
                self.ledger = (wanted.ledger_id, wanted.incarnation)
                return
        raise ForeignLedgerError(
            f"the epoch of {self.name} keeps changing: a node of another ledger runs. "
            "Stop it, then run `crossfade ledger adopt` again."
        )

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`."""
        return (await self._standing()).highest

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`; a server that forgot is taken for a new one from then on.

        Raises:
            ConfigurationError: it is a cluster, or evicts keys.

        """
        await self.check_server()
        durable = b"1" if await self.is_durable() else b"0"
        await self.script(redis_scripts.PREPARE, [self.state_key], [durable])

    async def remove(self) -> None:
        """See `FencedDatabase.remove`; the documents stay."""
        await self.connections.write("UNLINK", self.state_key)
        async for keys in self.scan(f"{escaped(self._prefix)}:*"):
            if keys:
                await self.connections.write("UNLINK", *keys)

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`; Redis needs none, only a mark that it was prepared."""
        return f"# crossfade doctor --apply: marks {self.state_key} as prepared\n"

    async def close(self) -> None:
        """See `FencedDatabase.close`."""
        await self.connections.close()

    async def check_server(self) -> None:
        """Refuse a server that cannot be fenced, or throws keys away.

        Raises:
            ConfigurationError: says which setting.
            StoreUnreachableError: no answer.

        """
        information = (await self.connections.read("INFO")).decode(errors="replace")
        settings = dict(line.split(":", 1) for line in information.splitlines() if ":" in line[1:])
        if settings.get("cluster_enabled") == "1":
            raise ConfigurationError(
                f"{self.name} is a Redis Cluster: the epoch and every document must be in one "
                "place, so that one script sees both. Use a server of its own."
            )
        policy = settings.get("maxmemory_policy", "noeviction")
        if policy.startswith("allkeys"):
            raise ConfigurationError(
                f"{self.name} throws keys away when memory is short (maxmemory-policy {policy}). "
                "Set maxmemory-policy to noeviction."
            )

    async def is_durable(self) -> bool:
        """Whether the server keeps every write that it confirmed through a restart."""
        if self._declared_durable is not None:
            return self._declared_durable
        try:
            answer = await self.connections.read("CONFIG", "GET", "append*")
        except StoreUnreachableError:
            raise
        except (ConfigurationError, StoreError):
            # It does not let itself be asked: then nothing is promised.
            return False
        settings = _pairs(answer)
        return settings.get(b"appendonly") == b"yes" and settings.get(b"appendfsync") == b"always"

    async def doubts(self) -> tuple[str, ...]:
        """What an operator should know of the server; for `doctor`."""
        if await self.is_durable():
            return ()
        doubt = (
            "the server does not keep every write through a restart (appendonly yes and "
            "appendfsync always would): after one, run `crossfade doctor --apply`, and everything "
            "is copied again"
        )
        return (doubt,)

    async def prepared(self) -> bool:
        """Whether our own keys may be written here."""
        return bool(await self.connections.read("EXISTS", self.state_key))

    async def script(
        self, text: str, keys: Sequence[str], values: Sequence[str | bytes]
    ) -> Answer:
        """Run a script that puts; raises as `RedisConnections.write`."""
        return await self.connections.write("EVAL", text, len(keys), *keys, *values)

    async def look(self, text: str, keys: Sequence[str], values: Sequence[str | bytes]) -> Answer:
        """Run a script that may be run twice; raises as `RedisConnections.read`."""
        return await self.connections.read("EVAL", text, len(keys), *keys, *values)

    async def scan(self, pattern: str, *more: str) -> AsyncIterator[list[bytes]]:
        """Pages of the keys that match; each key that is there all the time comes."""
        cursor = b"0"
        while True:
            cursor, keys = await self.connections.read(
                "SCAN", cursor, "MATCH", pattern, "COUNT", self.options.scan_at_once, *more
            )
            yield keys
            if cursor == b"0":
                return

    def unprepared(self, state: str) -> NotPreparedError:
        """What stands in the way of a server that was not prepared, or has forgotten."""
        if state == "restarted":
            return NotPreparedError(
                f"{self.name} was restarted and does not keep every write through that: what was "
                "copied into it may be gone. Run `crossfade doctor --apply`, and everything is "
                "copied again."
            )
        return NotPreparedError(
            f"{self.name} has no mark of this migration: it was not prepared, or it was emptied. "
            "Run `crossfade doctor --apply`."
        )

    async def _standing(self) -> _Standing:
        state, ledger, incarnation, epoch, highest = await self.look(
            redis_scripts.EPOCH, [self.state_key], []
        )
        if state in (b"unprepared", b"restarted"):
            raise self.unprepared(state.decode())
        token = int(highest or 0)
        if ledger is None or epoch is None:
            return _Standing(state.decode(), None, token)
        found = StoreEpoch(ledger.decode(), int(incarnation), int(epoch))
        return _Standing(state.decode(), found, token)

    async def _set_epoch(self, found: StoreEpoch | None, held: StoreEpoch) -> bool:
        before = ("", "", "") if found is None else _texts(found)
        answer = await self.script(
            redis_scripts.SET_EPOCH, [self.state_key], [*before, *_texts(held)]
        )
        state = answer[0].decode()
        if state in ("unprepared", "restarted"):
            raise self.unprepared(state)
        return bool(state == "ok")


def _texts(epoch: StoreEpoch) -> tuple[str, str, str]:
    return epoch.ledger_id, str(epoch.incarnation), str(epoch.epoch)


def escaped(text: str) -> str:
    """Text as a glob that matches only itself."""
    return "".join(f"\\{one}" if one in "*?[]^\\-" else one for one in text)


def _pairs(answer: Answer) -> dict[bytes, bytes]:
    """A server's list of names and values, whichever protocol it came by."""
    if isinstance(answer, dict):
        return answer
    return dict(zip(answer[::2], answer[1::2], strict=True))
