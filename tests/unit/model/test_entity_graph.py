"""Parents come before the rows that point to them, whatever the order of declaration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.entity_graph import (
    EntityLinks,
    LinkedTable,
    Reference,
    entity_graph,
    parents_first,
)


def _links(entity: str, *parents: str, place: str = "db") -> EntityLinks:
    references = tuple(Reference((f"{one}_id",), one, ("id",)) for one in parents)
    return EntityLinks(entity, place, (LinkedTable(entity, ("id",), references),))


def test_parents_come_first() -> None:
    """Notes point to people, people to teams."""
    links = [_links("note", "person"), _links("person", "team"), _links("team")]

    graph = entity_graph(["note", "person", "team"], links)

    assert graph.order == ("team", "person", "note")
    assert graph.parents["note"] == {"person"}
    assert graph.cycles == ()


def test_strangers_keep_their_order() -> None:
    """So do entities whose stores know nothing of foreign keys."""
    assert entity_graph(["b", "a"], [_links("a")]).order == ("b", "a")


def test_a_cycle_is_told_and_its_children_come_after_it() -> None:
    """Within it nobody comes first; what it points to comes before all of it."""
    links = [_links("note", "team"), _links("team", "person"), _links("person", "team", "city"),
             _links("city")]  # fmt: skip

    graph = entity_graph(["note", "team", "person", "city"], links)

    assert graph.order == ("city", "team", "person", "note")
    assert graph.cycles == (("team", "person"),)


def test_an_entity_that_points_to_itself_is_no_cycle() -> None:
    """Its rows are copied in an order of their own."""
    graph = entity_graph(["person"], [_links("person", "person")])

    assert graph.self_referring == frozenset({"person"})
    assert graph.cycles == ()


def test_children_of_an_aggregate_belong_to_its_entity() -> None:
    """That they point to their own parent says nothing; that they point elsewhere does."""
    steps = LinkedTable(
        "step",
        ("job",),
        (Reference(("job",), "job", ("id",)), Reference(("person",), "person", ("id",))),
    )
    job = EntityLinks("job", "db", (LinkedTable("job", ("id",)), steps))

    graph = entity_graph(["job", "person"], [job, _links("person")])

    assert graph.order == ("person", "job")
    assert graph.self_referring == frozenset()


@pytest.mark.parametrize("stranger", [_links("person", place="elsewhere"), _links("undeclared")])
def test_what_is_elsewhere_does_not_count(stranger: EntityLinks) -> None:
    """Foreign keys never leave a database; tables of no entity are not copied."""
    graph = entity_graph(["note", "person"], [_links("note", "person", "undeclared"), stranger])

    assert graph.order == ("note", "person")


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=30))
def test_rows_come_after_those_that_they_point_to(wanted: list[list[int]]) -> None:
    """Each once; where nothing points in a circle every parent is before its child."""
    count = len(wanted)
    anyhow = parents_first([[one % count for one in parents] for parents in wanted])
    assert sorted(anyhow) == list(range(count))

    acyclic = [[one % place for one in parents] if place else [] for place, parents in
               enumerate(wanted)]  # fmt: skip
    backwards = [[count - 1 - one for one in parents] for parents in reversed(acyclic)]
    order = parents_first(backwards)

    assert all(
        order.index(parent) < order.index(row)
        for row, parents in enumerate(backwards)
        for parent in parents
    )


def test_a_long_chain_of_rows_is_no_deep_recursion() -> None:
    """Every row points to the next one."""
    count = 5000

    order = parents_first([[row + 1] if row + 1 < count else [] for row in range(count)])

    assert order == list(range(count))[::-1]
