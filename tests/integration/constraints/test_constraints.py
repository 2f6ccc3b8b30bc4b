"""Records that need one another converge on every engine, whatever is put first."""

from crossfade.convergence.converge import ConvergeEnd
from crossfade.model.key_state import needed
from crossfade.model.side import Side
from tests.integration.constraints.company import Company, run_on

ADA = "INSERT INTO person VALUES (1, 'ada', 'a', 10, NULL, NULL)"
BOB = "INSERT INTO person VALUES (2, 'bob', 'b', 20, NULL, NULL)"
CYD = "INSERT INTO person VALUES (3, 'cyd', NULL, 30, NULL, NULL)"


async def _copied(company: Company, *statements: str) -> None:
    """Write on legacy and converge everything."""
    company.write(*statements)
    await company.note_changes()
    await company.settle()
    await company.assert_agreed()


async def test_two_keys_exchange_values_that_must_be_unique(company: Company) -> None:
    """Columns that may be NULL and such that may not, both at once, in one attempt."""
    await _copied(company, ADA, BOB)
    company.write(
        "UPDATE person SET email = 'x', nick = 'x', seat = 99 WHERE id = 1",
        "UPDATE person SET email = 'ada', nick = 'a', seat = 10 WHERE id = 2",
        "UPDATE person SET email = 'bob', nick = 'b', seat = 20 WHERE id = 1",
    )
    await company.note_changes()

    end = await company.converge("person", 1)

    assert end is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_three_keys_pass_a_value_around(company: Company) -> None:
    """One attempt finds the whole circle."""
    await _copied(company, ADA, BOB, CYD)
    company.write(
        "UPDATE person SET seat = seat + 100",
        "UPDATE person SET seat = CASE id WHEN 1 THEN 20 WHEN 2 THEN 30 ELSE 10 END",
    )
    await company.note_changes()

    end = await company.converge("person", 2)

    assert end is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_a_value_of_a_record_that_is_gone_is_free(company: Company) -> None:
    """The other key is clean in the ledger, yet the authority has no such record any more."""
    await _copied(company, ADA, BOB)
    company.write("DELETE FROM person WHERE id = 2", "UPDATE person SET email = 'bob'")
    company.mark("person", 1)

    end = await company.converge("person", 1)

    assert end is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_children_of_two_aggregates_exchange_values(company: Company) -> None:
    """Values that must be unique over all children belong to their aggregates."""
    await _copied(
        company,
        "INSERT INTO job VALUES (1, 'x'), (2, 'y')",
        "INSERT INTO step VALUES (1, 1, 'p', NULL), (1, 2, 'q', NULL), (2, 1, 'r', NULL)",
    )
    company.write(
        "UPDATE step SET serial = '-' || serial",
        "UPDATE step SET serial = CASE serial WHEN '-p' THEN 'q' WHEN '-q' THEN 'r' ELSE 'p' END",
    )
    await company.note_changes()

    assert await company.converge("job", 1) is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_children_of_one_aggregate_exchange_values(company: Company) -> None:
    """Nobody else is involved: the same record once more, with room made for it."""
    await _copied(
        company,
        "INSERT INTO job VALUES (1, 'x')",
        "INSERT INTO step VALUES (1, 1, 'p', NULL), (1, 2, 'q', NULL)",
    )
    company.write(
        "UPDATE step SET serial = '-' || serial",
        "UPDATE step SET serial = CASE serial WHEN '-p' THEN 'q' ELSE 'p' END",
    )
    await company.note_changes()

    assert await company.converge("job", 1) is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_a_parent_that_nobody_copied_yet_comes_along(company: Company) -> None:
    """The ledger knows nothing of it; the authority has it."""
    company.write(ADA, BOB, "UPDATE person SET boss = 1 WHERE id = 2",
                  "INSERT INTO note VALUES (7, 2, 'n')")  # fmt: skip
    company.mark("note", 7)

    end = await company.converge("note", 7)

    assert end is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_records_that_point_to_one_another(company: Company) -> None:
    """A team and its leader, made in one transaction; a person who is his own boss."""
    company.write(
        "INSERT INTO team VALUES (5, 'core', 1)",
        "INSERT INTO person VALUES (1, 'ada', 'a', 10, 1, 5)",
    )
    await company.note_changes()

    assert await company.converge("team", 5) is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_records_that_point_to_one_another_go_together(company: Company) -> None:
    """Neither can be deleted before the other."""
    await _copied(
        company,
        "INSERT INTO team VALUES (5, 'core', 1)",
        "INSERT INTO person VALUES (1, 'ada', 'a', 10, 2, 5), (2, 'bob', 'b', 20, 1, 5)",
    )
    company.write("DELETE FROM person", "DELETE FROM team")
    await company.note_changes()

    assert await company.converge("person", 1) is ConvergeEnd.CLEAN
    await company.settle()
    await company.assert_agreed()


async def test_what_a_delete_cascades_to_is_not_called_clean(company: Company) -> None:
    """The child moved to another parent behind our back: it would be gone with the old one."""
    await _copied(company, ADA, BOB, "INSERT INTO note VALUES (7, 1, 'n'), (8, 1, 'm')")
    company.write(
        "UPDATE note SET person = 2 WHERE id = 7",
        "DELETE FROM person WHERE id = 1",
    )
    company.mark("person", 1)

    assert await company.converge("person", 1) is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_what_a_delete_sets_to_null_is_copied(company: Company) -> None:
    """Legacy's own SET NULL has no intent; the delete on the mirror finds whom it concerns."""
    await _copied(
        company, ADA, BOB,
        "INSERT INTO team VALUES (5, 'core', 1)",
        "INSERT INTO job VALUES (1, 'x')", "INSERT INTO step VALUES (1, 1, 'p', 1)",
    )  # fmt: skip
    company.write("DELETE FROM person WHERE id = 1")
    company.mark("person", 1)

    assert await company.converge("person", 1) is ConvergeEnd.CLEAN
    await company.assert_agreed()


async def test_more_children_than_go_in_one_transaction(company: Company) -> None:
    """They go first, one by one, and the parent after them without waiting for its turn."""
    notes = [f"INSERT INTO note VALUES ({key}, 1, 'n')" for key in range(1, 151)]  # noqa: S608 - made up here
    await _copied(company, ADA, *notes)
    company.write("DELETE FROM person")
    company.mark("person", 1)

    assert await company.converge("person", 1) is ConvergeEnd.BLOCKED
    await company.settle()
    await company.assert_agreed()


async def test_long_chains_of_bosses_converge_from_any_end(company: Company) -> None:
    """Longer than what is put in one transaction."""
    bosses = [*range(2, 81), "NULL"]
    company.write(
        *(
            f"INSERT INTO person VALUES ({key}, 'e{key}', NULL, {key}, {boss}, NULL)"  # noqa: S608 - made up here
            for key, boss in enumerate(bosses, start=1)
        )
    )
    company.mark("person", 1)

    await company.settle()

    assert len(await company.rows("person", Side.NEW)) == 80
    await company.assert_agreed()


async def test_an_orphan_of_the_authority_waits_for_its_parent(company: Company) -> None:
    """Quarantined with the parent's name; it comes back by itself when the parent is there."""
    run_on(str(company.legacy), "INSERT INTO note VALUES (7, 1, 'n')")
    await company.note_changes()
    await company.settle()

    state = company.state("note", 7)
    assert state.quarantine is not None
    assert str(needed(state.quarantine)) == "person [1]"
    assert "which the authority does not have" in state.quarantine

    company.write(ADA)
    company.mark("person", 1)
    await company.settle()
    await company.settle()
    await company.assert_agreed()


async def test_an_orphan_finds_its_parent_after_a_restart(company: Company) -> None:
    """Who waited for whom is in the reason: upkeep finds it without any memory."""
    run_on(str(company.legacy), "INSERT INTO note VALUES (7, 1, 'n')")
    await company.note_changes()
    await company.settle()
    assert company.state("note", 7).quarantine is not None
    company.write(ADA)
    company.mark("person", 1)
    company.restart()
    await company.settle()

    await company.finish(company.reconciler.step())
    await company.settle()

    await company.assert_agreed()


async def test_a_child_that_the_authority_keeps_without_its_parent(company: Company) -> None:
    """The parent cannot go while it would take the child along: both are named."""
    await _copied(company, ADA, "INSERT INTO note VALUES (7, 1, 'n')")
    run_on(str(company.legacy), "DELETE FROM person")
    company.mark("person", 1)

    await company.settle()

    quarantine = company.state("person", 1).quarantine or ""
    assert "note [7], which points to it on the authority still" in quarantine
    assert not company.state("note", 7).dirty
    assert (7,) in await company.rows("note", Side.NEW)


async def test_two_records_that_want_one_value_need_a_person(company: Company) -> None:
    """New asks for more than legacy does: one is copied, the other one is quarantined."""
    await _copied(company, ADA, BOB)
    run_on(company.new_url, "CREATE UNIQUE INDEX one_text ON note (text)")
    await company.reopen()
    company.write("INSERT INTO note VALUES (7, 1, 'same'), (8, 2, 'same')")
    await company.note_changes()

    await company.settle()

    quarantined = [key for key in (7, 8) if company.state("note", key).quarantine]
    assert len(quarantined) == 1
    other = 15 - quarantined[0]
    reason = company.state("note", quarantined[0]).quarantine or ""
    assert f"the value belongs to note [{other}], too" in reason
    assert company.counts().dirty == 0
