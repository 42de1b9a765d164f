"""The figures of the simulation: each names its source, and the documentation shows them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.demo.figures import INVENTED, Line, figures, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "demo.md"


@pytest.mark.parametrize("line", table(), ids=lambda line: f"{line.about} {line.what}")
def test_every_figure_names_a_source_that_is_described(line: Line) -> None:
    assert line.source in figures().sources
    assert line.how


def test_what_is_real_is_published_and_free_to_use() -> None:
    for name, source in figures().sources.items():
        assert (name == INVENTED) == (not source.where)
        assert source.licence in ({""} if name == INVENTED else {"MIT", "Apache-2.0"})


def test_the_documentation_shows_every_figure_and_every_source() -> None:
    text = DOCUMENT.read_text()
    expected = [f"| {line.about} | {line.what} | {line.value} | {line.how} | {line.source} |" for line in table()]
    expected += [
        f"| {name} | {s.name} | {s.where or '-'} | {s.licence or '-'} |" for name, s in figures().sources.items()
    ]
    missing = [line for line in expected if line not in text]
    assert not missing, "docs/demo.md lacks these lines:\n" + "\n".join(missing)


@pytest.mark.parametrize(
    ("workflow", "runs", "claimed", "verified", "discrepancies"),
    [("bug-fixing", 500, 500, 371, 129), ("flight-changes", 200, 147, 84, 98), ("clinical-orders", 100, 96, 65, 31)],
)
def test_the_outcomes_add_up_to_the_published_totals(
    workflow: str, runs: int, claimed: int, verified: int, discrepancies: int
) -> None:
    cells = [sum(column) for column in zip(*figures().workflows[workflow].outcomes.runs.values(), strict=True)]
    claimed_true, claimed_untrue, unclaimed_true, _ = cells
    assert sum(cells) == runs
    assert claimed_true + claimed_untrue == claimed
    assert claimed_true + unclaimed_true == verified
    assert claimed_untrue == discrepancies


def test_what_was_claimed_instead_of_success_adds_up_to_the_outcomes() -> None:
    for workflow in figures().workflows.values():
        cells = [sum(column) for column in zip(*workflow.outcomes.runs.values(), strict=True)]
        assert sum(workflow.unclaimed.success.values()) == cells[2]
        assert sum(workflow.unclaimed.failure.values()) == cells[3]


def test_the_shares_of_the_workflows_are_those_of_a_whole() -> None:
    assert sum(w.figures.share.value for w in figures().workflows.values()) == pytest.approx(1)


def test_every_role_has_a_price() -> None:
    assert {w.role for w in figures().workflows.values()} <= figures().human_usd_per_hour.keys()
