"""The demo's callers ask for every kind of thing, on shared keys, never the same twice."""

from collections import Counter, deque

from crossfade.demo.history import Kind, Request, value_of
from crossfade.demo.workload import CREATED_KEYS_MAX, SharedKeys, Workload


def test_every_write_has_a_value_of_its_own() -> None:
    """Whatever is read can be traced to the one who wrote it."""
    keys = make_keys()
    clients = [Workload(f"w{number}", 1, keys) for number in range(4)]
    requests = [client.next_write() for client in clients for _ in range(500)]

    values = [request.value for request in requests if request.kind is not Kind.DELETE]

    assert len(set(values)) == len(values) > 1000


def test_the_same_seed_asks_the_same() -> None:
    """A run can be repeated; another seed or client asks for other things."""

    def first_writes(client: str, seed: int) -> list[Request]:
        workload = Workload(client, seed, make_keys())
        return [workload.next_write() for _ in range(50)]

    assert first_writes("w1", 1) == first_writes("w1", 1)
    assert first_writes("w1", 1) != first_writes("w1", 2)
    assert first_writes("w1", 1) != first_writes("w2", 1)


def test_a_few_keys_are_hot_and_all_are_in_range() -> None:
    """Readers and writers meet."""
    workload = Workload("w1", 1, make_keys())
    requests = [workload.next_write() for _ in range(1000)]
    requests += [workload.next_read() for _ in range(1000)]

    keys = [request.key for request in requests if request.key is not None]

    assert all(1 <= key <= 1000 for key in keys)
    assert sum(key <= 20 for key in keys) > 0.4 * len(keys)


def test_every_kind_of_request_occurs() -> None:
    """On both entities."""
    workload = Workload("w1", 1, make_keys())
    requests = [workload.next_write() for _ in range(500)]
    requests += [workload.next_read() for _ in range(500)]

    seen = Counter((request.kind, request.entity) for request in requests)

    expected = {(kind, entity) for kind in Kind for entity in ("customer", "order")}
    assert set(seen) == expected - {(Kind.LIST, "order")}


def test_created_keys_are_asked_for_again() -> None:
    """And only so many of them are remembered."""
    keys = make_keys()
    keys.created["customer"].extend(range(5000, 5000 + 2 * CREATED_KEYS_MAX))
    workload = Workload("r1", 1, keys)

    asked = {workload.next_read().key for _ in range(500)}

    assert any(key is not None and key >= 5000 for key in asked)
    assert len(keys.created["customer"]) == CREATED_KEYS_MAX
    assert isinstance(keys.created["order"], deque)


def test_the_expected_value_is_of_what_a_service_will_show() -> None:
    """With the total that the service computes, and without the id that it may make."""
    workload = Workload("w1", 1, make_keys())
    requests = [workload.next_write() for _ in range(200)]
    order = next(each for each in requests if each.entity == "order" and each.kind is Kind.WRITE)
    assert order.body is not None

    cents = sum(
        line["quantity"] * round(float(line["price"]) * 100) for line in order.body["lines"]
    )

    assert "total" not in order.body
    assert order.body["id"] == order.key
    assert order.value == value_of({**order.body, "total": f"{cents // 100}.{cents % 100:02d}"})


def make_keys() -> SharedKeys:
    """A thousand of each, twenty hot."""
    return SharedKeys({"customer": 1000, "order": 1000}, hot=20)
