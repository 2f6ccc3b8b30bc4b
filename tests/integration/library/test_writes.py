"""Writes of decorated functions: intents first, authority next, the mirror in the end."""

import threading

import pytest

from crossfade.errors import KeyArgumentError, WritesHeldError
from crossfade.library.running import Running
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import ProfileShop
from tests.integration.library.put_pairs import call, caught, declare, paired

TRACKED = [Stage.SHADOW, Stage.LIVE, Stage.COMPLETED]


class RefusedError(Exception):
    """Nothing was written, says the function."""


@pytest.mark.parametrize("stage", [Stage.OFF, *TRACKED])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_write_reaches_both_databases(shop: ProfileShop, stage: Stage, awaited: bool) -> None:  # noqa: FBT001 - a table of cases
    """The authority at once, the mirror soon after; in `off` legacy alone."""
    put = declare(shop, awaited=awaited)
    with shop.running() as running:
        shop.walk(running, stage)
        call(put, 1, "ann")
        at_once = shop.both(1)
        shop.settle(running)

    expected = "ann" if stage is not Stage.OFF else None
    authority = 0 if stage in (Stage.OFF, Stage.SHADOW) else 1
    assert at_once[authority] == "ann"
    assert shop.both(1) == ("ann", expected)


def test_read_only_refuses_writes(shop: ProfileShop) -> None:
    """With an error of ours, before any side is asked."""
    put = declare(shop)
    with shop.running(execution={"held_seconds_max": 0.05}) as running:
        shop.walk(running, Stage.READ_ONLY)
        with pytest.raises(WritesHeldError, match="read_only"):
            put(1, "ann")

    assert shop.both(1) == (None, None)


@pytest.mark.parametrize("stage", TRACKED)
def test_the_intent_is_durable_before_the_authority_is_asked(
    shop: ProfileShop, stage: Stage
) -> None:
    """Rule 1, seen from inside the function; several keys are one intent."""
    seen: list[tuple[int, int]] = []
    holder: list[Running] = []

    def put_many(names: dict[int, str]) -> None:  # noqa: ARG001 - looks only
        if holder:
            counts = shop.counts(holder[0])
            seen.append((counts.open_intents, counts.dirty))

    operation = shop.migration.operation(
        writes=shop.profiles, key=lambda names: [*names], new=put_many
    )(put_many)
    with shop.running() as running:
        shop.walk(running, stage)
        holder.append(running)
        operation({3: "c", 1: "a", 2: "b"})
        shop.settle(running)

    assert seen == [(1, 3)]


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW])
def test_an_exception_of_the_authority_is_an_answer(
    shop: ProfileShop,
    stage: Stage,
    awaited: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """The very object; what was written before it is copied, and nothing stays open."""
    error = ValueError("after half the work")

    def legacy(user_id: int, name: str) -> None:
        shop.legacy_put(user_id, name)
        raise error

    put = declare(shop, legacy=legacy, awaited=awaited)
    with shop.running() as running:
        shop.walk(running, stage)
        with pytest.raises(ValueError, match="half") as caught:
            call(put, 1, "ann")
        shop.settle(running)

    assert caught.value is error
    assert shop.both(1) == ("ann", "ann" if stage is Stage.SHADOW else None)


@pytest.mark.parametrize("awaited", [False, True])
def test_a_create_whose_id_the_authority_makes(shop: ProfileShop, awaited: bool) -> None:  # noqa: FBT001 - a table of cases
    """The key comes from the returned value, and the record is copied."""

    def legacy(name: str) -> dict[str, int]:
        shop.legacy_put(77, name)
        return {"id": 77}

    create = paired(shop, legacy, awaited=awaited, key=None, created="id")
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        assert call(create, "ann") == {"id": 77}
        shop.settle(running)

    assert shop.both(77) == ("ann", "ann")


@pytest.mark.parametrize("what", ["refused", "raised", "nonsense"])
def test_a_create_that_failed_is_looked_for(shop: ProfileShop, what: str) -> None:
    """Refused: nothing to look for. Anything else: the resolver finds what was made."""

    def legacy(name: str) -> object:
        if what != "refused":
            shop.legacy_put(78, name)
        if what == "nonsense":
            return "no id in here"
        raise (RefusedError if what == "refused" else ValueError)(name)

    create = paired(shop, legacy, key=None, created="id", refused=RefusedError)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.copy_all(running)
        caught(create, "ann")
        shop.settle(running)

    expected = None if what == "refused" else "ann"
    assert shop.both(78) == (expected, expected)


def test_a_write_without_a_key_is_refused(shop: ProfileShop) -> None:
    """No key, no promise: neither side is asked."""
    put = declare(shop)
    with shop.running():
        nothings: list[object] = [None, [], 1.5, True, "1", (1, 2)]
        for nothing in nothings:
            with pytest.raises(KeyArgumentError):
                put(nothing, "ann")
        with pytest.raises(TypeError, match="user_id"):
            put(name="ann")


def test_an_operation_inside_its_own_write_makes_no_second_intent(shop: ProfileShop) -> None:
    """The same key: plainly on the same side. Another key or thread: an intent of its own."""
    seen: dict[str, int] = {}
    holder: list[Running] = []

    def look(where: str) -> None:
        seen[where] = shop.counts(holder[0]).open_intents

    def inner_legacy(user_id: int, name: str) -> None:
        look(name)
        shop.legacy_put(user_id, name)

    inner = shop.migration.operation(
        writes=shop.profiles, key="user_id", new=shop.new_put, name="inner"
    )(inner_legacy)

    def outer_legacy(user_id: int, name: str) -> None:  # noqa: ARG001 - names of its own
        inner(user_id, "same key")
        inner(user_id + 1, "other key")
        thread = threading.Thread(target=inner, args=(user_id, "thread"))
        thread.start()
        thread.join()

    outer = shop.migration.operation(
        writes=shop.profiles, key="user_id", new=shop.new_put, name="outer"
    )(outer_legacy)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        holder.append(running)
        outer(1, "x")
        shop.settle(running)

    assert seen == {"same key": 1, "other key": 2, "thread": 2}
    assert shop.both(1) == ("thread", "thread")
    assert shop.both(2) == ("other key", "other key")


@pytest.mark.parametrize("awaited", [False, True])
def test_a_replayed_write_is_observed_only(shop: ProfileShop, awaited: bool) -> None:  # noqa: FBT001 - a table of cases
    """New's own write logic is tried on a copy of the arguments; its bugs are differences."""

    def legacy(user_id: int, names: list[str]) -> str:
        shop.legacy_put(user_id, names[0])
        names.append("by legacy")
        return "saved"

    def new(user_id: int, names: list[str]) -> str:
        shop.new_put(user_id, f"{len(names)} names")
        return "saved differently"

    # An awaited replay runs in the caller's loop, which must still be there.
    when = "before_answer" if awaited else "after_answer"
    put = paired(shop, legacy, new, awaited=awaited, replay=True, mirror_when=when)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.legacy_put(1, "was copied")
        shop.copy_all(running)
        names = ["ann"]
        assert call(put, 1, names) == "saved"
        shop.settle(running)
        found = shop.found(running, "put", at_least=2)

    assert (found["replays"], found["mismatched"]) == (1, 2)
    assert sorted(found["paths"]) == [("$",), ("$.name",)]
    assert names == ["ann", "by legacy"]
    assert shop.both(1) == ("ann", "ann")


@pytest.mark.parametrize("kind", [ValueError, SystemExit, ConnectionError])
def test_a_replay_that_fails_harms_nobody(shop: ProfileShop, kind: type[BaseException]) -> None:
    """The caller has its answer, and the sides agree in the end."""

    def new(user_id: int, name: str) -> None:
        raise kind(user_id, name)

    put = paired(shop, shop.legacy_put, new, replay=True)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.copy_all(running)
        put(1, "ann")
        shop.settle(running)

    assert shop.both(1) == ("ann", "ann")


def test_before_answer_waits_for_the_mirror(shop: ProfileShop) -> None:
    """Whoever asks for it sees the write on both sides at once."""
    put = paired(shop, shop.legacy_put, shop.new_put, mirror_when="before_answer")
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        put(1, "ann")

        assert shop.both(1) == ("ann", "ann")
