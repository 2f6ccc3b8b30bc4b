"""What the demo's callers ask for: seeded, on shared keys, and every write unlike any other."""

import random
from collections import deque
from dataclasses import dataclass, field

from crossfade.demo.history import Body, Kind, Request, value_of

CREATED_KEYS_MAX = 500
"""So many created keys of an entity are remembered, to be read, changed and deleted again."""

PATHS = {"customer": "/customers", "order": "/orders"}
NAMES = ("Ada", "Zoë", "Łukasz", "Дмитрий", "さくら", "محمد", "N'Golo", "🎉")
CITIES = (None, "Oslo", "Zürich", "北京")
STATUSES = ("open", "paid", "shipped")
LIST_ROWS_MAX = 10


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """The keys that all clients work on, a few of them hot."""

    initial: dict[str, int]
    """How many keys, from 1, each entity has at the start."""
    hot: int = 20
    """The lowest keys of each entity; every second request goes to one of them."""
    created: dict[str, deque[int]] = field(
        default_factory=lambda: {entity: deque(maxlen=CREATED_KEYS_MAX) for entity in PATHS}
    )

    def choose(self, entity: str, chance: random.Random) -> int:
        """A hot key, a created one, or any."""
        dice = chance.random()
        created = self.created[entity]
        if dice < 0.5:  # noqa: PLR2004 - one half
            return chance.randint(1, max(min(self.hot, self.initial[entity]), 1))
        if dice < 0.65 and created:  # noqa: PLR2004 - some of the rest
            return chance.choice(created)
        return chance.randint(1, max(self.initial[entity], 1))


class Workload:
    """One client's endless sequence of requests."""

    def __init__(self, client: str, seed: int, keys: SharedKeys) -> None:
        self._client = client
        self._seed = seed
        self._keys = keys
        self._written = 0
        self._chance = random.Random(f"{client}/{seed}")  # noqa: S311 - made-up traffic

    def next_read(self) -> Request:
        """Read one key; now and then a page of customers."""
        entity = self._chance.choice(tuple(PATHS))
        key = self._keys.choose(entity, self._chance)
        if self._chance.random() < 0.04:  # noqa: PLR2004 - one in twenty-five
            path = f"{PATHS['customer']}?after={key}&limit={LIST_ROWS_MAX}"
            return Request(kind=Kind.LIST, entity="customer", method="GET", path=path)
        path = f"{PATHS[entity]}/{key}"
        return Request(kind=Kind.READ, entity=entity, key=key, method="GET", path=path)

    def next_write(self) -> Request:
        """Mostly replace; now and then create, or delete."""
        entity = self._chance.choice(tuple(PATHS))
        dice = self._chance.random()
        if dice < 0.15:  # noqa: PLR2004 - three in twenty create
            return self._with_body(Kind.CREATE, entity, None, "POST")
        key = self._keys.choose(entity, self._chance)
        if dice < 0.25:  # noqa: PLR2004 - one in ten deletes
            path = f"{PATHS[entity]}/{key}"
            return Request(kind=Kind.DELETE, entity=entity, key=key, method="DELETE", path=path)
        return self._with_body(Kind.WRITE, entity, key, "PUT")

    def _with_body(self, kind: Kind, entity: str, key: int | None, method: str) -> Request:
        self._written += 1
        token = f"{self._seed}-{self._client}-{self._written}"
        whole = self._customer(token) if entity == "customer" else self._order(token)
        # The total is the service's to compute: expected in what is read, not sent.
        sent = {name: value for name, value in whole.items() if name != "total"}
        path = PATHS[entity] if key is None else f"{PATHS[entity]}/{key}"
        return Request(
            kind=kind,
            entity=entity,
            key=key,
            method=method,
            path=path,
            body=sent if key is None else {"id": key, **sent},
            value=value_of(whole),
        )

    def _customer(self, token: str) -> Body:
        return {
            "name": f"{self._chance.choice(NAMES)} {token}",
            "email": f"{token}@example.com",
            "city": self._chance.choice(CITIES),
            "note": f"written as {token}",
            "credit": _units(self._price_cents()),
        }

    def _order(self, token: str) -> Body:
        lines = []
        total_cents = 0
        for number in range(1, self._chance.randint(1, 4) + 1):
            cents, quantity = self._price_cents(), self._chance.randint(1, 9)
            total_cents += quantity * cents
            sku = f"SKU-{token}-{number}"
            lines.append(
                {"line": number, "sku": sku, "quantity": quantity, "price": _units(cents)}
            )
        return {
            "customer": self._chance.randint(1, max(self._keys.initial["customer"], 1)),
            "placed_at": f"2026-06-{self._chance.randint(1, 28):02d}T08:30:00Z",
            "status": self._chance.choice(STATUSES),
            "total": _units(total_cents),
            "lines": lines,
        }

    def _price_cents(self) -> int:
        return self._chance.randint(1, 30_000)


def _units(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
