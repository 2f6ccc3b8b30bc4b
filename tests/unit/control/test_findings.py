"""Differences are listed by how often they were seen, shown by fingerprint, marked as mended."""

import pytest

from crossfade.codec import encode
from crossfade.control.findings import Findings, Mending
from crossfade.control.requests import DifferenceAsked
from crossfade.errors import ConfigurationError
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.ledger.memory import MemoryLedger
from crossfade.model.comparison import Observed, compare_answers
from crossfade.model.observation import MismatchKind
from crossfade.observability.hooks import Hooks
from crossfade.testing.manual_clock import ManualClock
from tests.builders import make_operation
from tests.unit.control.ledgers import make_ledger, make_telling


async def observe(ledger: MemoryLedger, **fields: bool) -> Observations:
    """Observations that saw each field differ (True) or not."""
    observations = Observations(ledger, Hooks(), ManualClock(), ComparisonOptions())
    operation = make_operation("GET", entity="customer")
    for field, differs in fields.items():
        legacy, new = (
            Observed(200, "application/json", encode({field: value}))
            for value in (1, 2 if differs else 1)
        )
        found = compare_answers(legacy, new)
        observations.compared(operation, MismatchKind.READ, found, (1,))
    await observations.flush()
    return observations


async def test_differences_are_told_with_what_matched() -> None:
    """One kind for each place that differs."""
    ledger = make_ledger()
    await observe(ledger, name=True, credit=True, city=False)

    told = Findings(make_telling(ledger)).diffs()

    assert (told["open"], {path for group in told["groups"] for path in group["paths"]}) == (
        2,
        {"$.name", "$.credit"},
    )
    assert told["operations"][0]["since"]["matched"] == 1
    assert encode(told)


async def test_the_first_digits_of_a_fingerprint_are_enough() -> None:
    """The samples of that kind are shown."""
    ledger = make_ledger()
    await observe(ledger, name=True)
    findings = Findings(make_telling(ledger))
    fingerprint = findings.diffs()["groups"][0]["fingerprint"]

    told = findings.diff(fingerprint[:5])

    assert told["samples"][0]["differences"][0]["path"] == "$.name"
    assert encode(told)


@pytest.mark.parametrize("text", ["", "zz"])
async def test_a_fingerprint_that_names_none_is_refused(text: str) -> None:
    """The message names the command that lists them."""
    ledger = make_ledger()
    await observe(ledger, name=True, credit=True)

    with pytest.raises(ConfigurationError, match="crossfade diffs"):
        Findings(make_telling(ledger)).diff(text)


async def test_what_was_mended_is_no_longer_open() -> None:
    """A dry run changes nothing."""
    ledger = make_ledger()
    observations = await observe(ledger, name=True)
    told = make_telling(ledger)
    fingerprint = Findings(told).diffs()["groups"][0]["fingerprint"]
    mending = Mending(observations, ledger, told, ManualClock())

    await mending.resolve_diff(DifferenceAsked(fingerprint=fingerprint, dry_run=True))
    assert Findings(told).diffs()["open"] == 1

    await mending.resolve_diff(DifferenceAsked(fingerprint=fingerprint))
    assert Findings(told).diffs()["open"] == 0
    assert len(Findings(told).diffs(resolved=True)["groups"]) == 1
    assert ledger.look(lambda rows: rows.audit(9))[0].action == "difference mended"
