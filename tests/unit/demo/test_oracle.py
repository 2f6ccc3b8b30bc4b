"""The demo's judge finds each kind of broken promise, and passes what was kept."""

from pathlib import Path

import pytest

from crossfade.demo.history import value_of
from crossfade.demo.oracle import EXAMPLES_MAX, judge_demo
from tests.unit.demo.demo_evidence import CUSTOMER, ORDER, Scene, make_scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Four customers and four orders, the same on both sides."""
    return make_scene(tmp_path)


def test_a_quiet_demo_is_clean(scene: Scene) -> None:
    """Nothing was asked and nothing moved; both translations agree on every row."""
    verdict = scene.judged()

    assert verdict.is_clean
    assert (verdict.requests, verdict.keys_judged) == (0, 8)


def test_what_was_written_and_read_is_counted_and_clean(scene: Scene) -> None:
    """A write is there at the end and was seen after it."""
    value = scene.set_note(1, "changed")
    scene.happened("read", 1, 1.0, 1.1, value=scene.value_of_customer(1))
    scene.happened("write", 1, 2.0, 2.1, wrote=value)
    scene.happened("read", 1, 3.0, 3.1, value=value)
    scene.happened("list", None, 3.0, 3.1, values={"1": value})

    verdict = scene.judged()

    assert verdict.is_clean
    assert (verdict.requests, verdict.acknowledged_writes, verdict.acknowledged_reads) == (4, 1, 3)


def test_an_acknowledged_write_without_trace_is_lost(scene: Scene) -> None:
    """The database still holds what was there before."""
    scene.happened("write", 1, 2.0, 2.1, wrote=scene.value_of_customer(1, "gone"))

    verdict = scene.judged()

    assert (verdict.lost, verdict.diverged, verdict.is_clean) == (1, 0, False)
    assert verdict.examples["lost"][0]["key"] == 1


def test_a_price_that_lost_a_cent_is_lost(scene: Scene) -> None:
    """The right write stands there, but not all of it."""
    wrote = value_of({**CUSTOMER, "credit": "19.99"})
    scene.happened("create", None, 1.0, 1.1, wrote=wrote, made=5, status=201)
    _put_customer(scene, 5, credit_cents=1998)

    assert scene.judged().lost == 1


def test_a_create_is_found_under_the_key_of_its_answer(scene: Scene) -> None:
    """And nowhere else."""
    scene.happened("create", None, 1.0, 1.1, wrote=value_of(CUSTOMER), made=5, status=201)
    _put_customer(scene, 5)

    assert scene.judged().is_clean

    _put_customer(scene, 6)

    assert scene.judged().lost == 1


def test_a_create_that_was_cut_may_be_there_or_not(scene: Scene) -> None:
    """Its caller was never told a key; once is right, and so is never."""
    scene.happened("create", None, 1.0, 1.1, wrote=value_of(CUSTOMER), outcome="cut")

    assert scene.judged().is_clean

    _put_customer(scene, 5)

    assert scene.judged().is_clean


def test_a_create_that_was_done_twice_is_found(scene: Scene) -> None:
    """Somebody repeated what may not be repeated."""
    scene.happened("create", None, 1.0, 1.1, wrote=value_of(CUSTOMER), outcome="cut")
    _put_customer(scene, 5)
    _put_customer(scene, 6)

    assert scene.judged().lost == 1


def test_a_refused_write_must_leave_no_trace(scene: Scene) -> None:
    """The caller was told that nothing happened."""
    value = scene.set_note(1, "refused")
    scene.happened("write", 1, 2.0, 2.1, wrote=value, outcome="refused", status=503)

    verdict = scene.judged()

    assert (verdict.refused, verdict.lost) == (1, 1)


@pytest.mark.parametrize("outcome", ["cut", "unknown", "failed", "none"])
def test_a_write_in_doubt_may_be_there(scene: Scene, outcome: str) -> None:
    """Cut, timed out, failed, or the generator itself died before it knew."""
    value = scene.set_note(1, "perhaps")
    scene.happened("write", 1, 2.0, 2.1, wrote=value, outcome=outcome)

    verdict = scene.judged()

    assert (verdict.lost, verdict.diverged) == (0, 0)
    assert verdict.is_clean == (outcome != "failed")


def test_a_deleted_customer_is_gone(scene: Scene) -> None:
    """From both sides; a second delete that found nothing is fine."""
    scene.happened("delete", 2, 1.0, 1.1, status=204)
    scene.happened("delete", 2, 2.0, 2.1, status=404)

    assert scene.judged().lost == 1

    scene.store("legacy", "DELETE FROM Customer WHERE CustomerId = 2")
    scene.store("new", "DELETE FROM customers WHERE id = 2")

    assert scene.judged().is_clean


def test_a_delete_that_found_nothing_where_something_was_is_stale(scene: Scene) -> None:
    """It has seen an absence that nobody can explain."""
    scene.happened("delete", 2, 2.0, 2.1, status=404)

    assert scene.judged().corrupt_reads == 1


def test_a_row_that_vanished_from_both_sides_is_lost(scene: Scene) -> None:
    """Agreement alone proves nothing."""
    scene.store("legacy", "DELETE FROM Customer WHERE CustomerId = 2")
    scene.store("new", "DELETE FROM customers WHERE id = 2")

    verdict = scene.judged()

    assert (verdict.lost, verdict.diverged) == (1, 0)


@pytest.mark.parametrize(
    ("side", "change"),
    [
        ("new", "UPDATE customers SET credit_cents = credit_cents - 1 WHERE id = 3"),
        ("new", "UPDATE customers SET city = '' WHERE id = 3"),
        ("new", "DELETE FROM customers WHERE id = 3"),
        ("new", "INSERT INTO customers VALUES (9, '', '', NULL, '', 0)"),
        ("new", "UPDATE customers SET credit_cents = 'many' WHERE id = 3"),
        ("new", "UPDATE orders SET customer_id = 99 WHERE id = 3"),
        ("new", "UPDATE orders SET document = replace(document, ':', ': x') WHERE id = 3"),
        ("new", "UPDATE orders SET document = json_remove(document, '$.lines[0]') WHERE id = 3"),
        (
            "new",
            "UPDATE orders SET document = json_set(document, '$.total_cents', 1) WHERE id = 3",
        ),
    ],
)
def test_any_difference_between_the_sides_is_a_divergence(
    scene: Scene, side: str, change: str
) -> None:
    """In a field, in a line, in existence, in form: each key counts once, and nothing is lost."""
    scene.store(side, change)

    verdict = scene.judged()

    assert (verdict.diverged, verdict.lost) == (1, 0)
    assert verdict.examples["diverged"][0]["fields"]


def test_a_line_without_order_is_a_divergence(scene: Scene) -> None:
    """A delete that forgot its children."""
    scene.store("legacy", "INSERT INTO OrderLine VALUES (77, 1, 'A', 1, 1.0)")

    assert scene.judged().diverged == 1


def test_the_spelling_of_a_document_is_no_difference(scene: Scene) -> None:
    """Spaces and the order of names say nothing."""
    scene.store("new", "UPDATE orders SET document = replace(document, '\",\"', '\" , \"')")

    assert scene.judged().is_clean


def test_a_read_behind_an_acknowledged_write_is_stale(scene: Scene) -> None:
    """Wherever it was served from; a row of a list counts as a read."""
    before = scene.value_of_customer(1)
    value = scene.set_note(1, "changed")
    scene.happened("write", 1, 2.0, 2.1, wrote=value)
    scene.happened("read", 1, 3.0, 3.1, value=before)
    scene.happened("list", None, 3.2, 3.3, values={"1": before})

    verdict = scene.judged()

    assert (verdict.stale_reads, verdict.lost) == (2, 0)
    assert verdict.examples["stale_reads"][0]["read"] == "history.ndjson:2"


def test_a_read_of_half_an_order_is_corrupt(scene: Scene) -> None:
    """Lines of one write under the head of another make a value that nobody wrote."""
    scene.happened("read", 1, 1.0, 1.1, value=value_of(ORDER), entity="order")

    assert scene.judged().corrupt_reads == 1


def test_an_answer_to_a_write_that_shows_something_else_is_corrupt(scene: Scene) -> None:
    """The caller was told that another thing was stored."""
    value = scene.set_note(1, "changed")
    scene.happened("write", 1, 2.0, 2.1, wrote=value, value="something else")

    assert scene.judged().corrupt_reads == 1


def test_the_authority_is_the_side_that_must_explain_itself(scene: Scene) -> None:
    """The same files, judged after a cut-over."""
    scene.store("new", "UPDATE customers SET note = 'only here' WHERE id = 1")
    value = scene.value_of_customer(1, "only here")
    scene.happened("write", 1, 2.0, 2.1, wrote=value)

    legacy = scene.evidence
    verdict = judge_demo(
        type(legacy)(
            histories=legacy.histories,
            initial=legacy.initial,
            legacy=legacy.legacy,
            new=legacy.new,
            authority="new",
        )
    )

    assert (verdict.lost, verdict.diverged) == (0, 1)
    assert scene.judged().lost == 1


def test_what_was_not_sent_is_not_counted(scene: Scene) -> None:
    """Nobody listened, so nothing was asked and nothing cut."""
    scene.happened("write", 1, 2.0, 2.1, wrote="x", outcome="unsent")
    scene.happened("write", 1, 2.0, 2.1, wrote="x", outcome="cut")

    verdict = scene.judged()

    assert (verdict.requests, verdict.cut, verdict.is_clean) == (1, 1, True)


def test_examples_are_few_and_counts_are_whole(scene: Scene) -> None:
    """A disaster does not fill the screen."""
    for _ in range(EXAMPLES_MAX + 5):
        scene.happened("read", 1, 1.0, 1.1, outcome="failed", status=500)

    verdict = scene.judged()

    assert verdict.failed == EXAMPLES_MAX + 5
    assert len(verdict.examples["failed"]) == EXAMPLES_MAX


def test_half_a_last_line_is_as_if_it_were_not_there(scene: Scene) -> None:
    """The generator was killed while it wrote."""
    scene.happened("read", 1, 1.0, 1.1, value=scene.value_of_customer(1))
    with scene.evidence.histories[0].open("a") as stream:
        stream.write('{"id": 2, "cli')

    assert scene.judged().requests == 1


def test_a_file_that_is_no_history_is_an_error(scene: Scene) -> None:
    """Evidence that cannot be read must not look like evidence of nothing."""
    scene.evidence.histories[0].write_text('{"id": 1, "end": 2.0, "outcome": "cut"}\n')

    with pytest.raises(ValueError, match="never attempted"):
        scene.judged()


def _put_customer(scene: Scene, key: int, credit_cents: int = 1999) -> None:
    scene.store(
        "legacy",
        "INSERT INTO Customer VALUES (?, 'Ada', 'ada@example.com', NULL, 'first', ?)",
        key,
        credit_cents / 100,
    )
    scene.store(
        "new",
        "INSERT INTO customers VALUES (?, 'Ada', 'ada@example.com', NULL, 'first', ?)",
        key,
        credit_cents,
    )
