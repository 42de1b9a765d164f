"""What a person sees: a board that fits the screen, or lines where there is none."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.demo.board import Heading, draw
from pipeline.demo.lines import Lines
from pipeline.demo.measured import FailingTool, Snapshot
from pipeline.demo.noticing import Incident
from pipeline.demo.watch import Note, View
from tests.demo.samples import counted, verdicts

HEADING = Heading(None, 1, "trueup", "/tmp/trueup-1a2b3c4d/trueup.yaml", "http://127.0.0.1:45123")  # noqa: S108
GROUPS = [(workflow, version) for workflow in ("bug-fixing", "clinical-orders", "flight-changes") for version in "12"]
BROKEN = ("clinical-orders", "2")


def view_of(*incidents: Incident, notes: int = 12, **facts: object) -> View:
    groups = {group: counted(group, **verdicts(12_345, 4_321, cost_known=10, cost_nano=10**10)) for group in GROUPS}
    told = [Note(float(n), f"note {n}: " + "something that takes more than a line to say " * 2) for n in range(notes)]
    return View(Snapshot(83, groups, 54_321, 0, 1.23), 30, 654, told, list(incidents), **facts)  # type: ignore[arg-type]


def incident(end: float | None = None) -> Incident:
    before, since = counted(BROKEN, **verdicts(200, 40)), counted(BROKEN, **verdicts(100, 80))
    return Incident(BROKEN, 40, 52, before, since, end)


def screen(view: View, width: int, height: int, elapsed: float = 83) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(draw(view, elapsed, HEADING, width, height))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("incidents", [(), (incident(),)])
def test_the_board_fits_the_screen(width: int, height: int, incidents: tuple[Incident, ...]) -> None:
    view = view_of(*incidents, failing=FailingTool("fhir.request", "timeout", 9, 10), example="clinical-orders-000123")
    lines = screen(view, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[-1] == "Ctrl-C ends it, with the report and the audit."


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30)])
def test_no_number_is_cut(width: int, height: int) -> None:
    lines = screen(view_of(), width, height)
    table = lines[2:9]
    assert "…" not in "".join(table)
    assert all("35% [34, 36]" in line for line in table[1:])
    assert "…" not in lines[0]


def test_a_wide_board_says_more() -> None:
    narrow, wide = screen(view_of(), 80, 24)[2], screen(view_of(), 100, 30)[2]
    assert "p95" in wide
    assert "p95" not in narrow


def test_a_workflow_is_named_once() -> None:
    text = "\n".join(screen(view_of(), 100, 30)[2:9])
    assert all(text.count(workflow) == 1 for workflow, _ in GROUPS)


def test_without_an_incident_it_says_so() -> None:
    assert "No version's verdicts are worse than they were before." in screen(view_of(), 100, 30)


def test_an_incident_is_told_with_its_numbers_and_with_the_other_version() -> None:
    text = "\n".join(screen(view_of(incident(), failing=FailingTool("fhir.request", "timeout", 9, 10)), 100, 30))
    assert "clinical-orders 2: claims success that is not there, since 0:40" in text
    assert "discrepancy 20% [15, 26] -> 80% [71, 87]   (version 1: 35% [34, 36])" in text
    assert "(fhir.request: timeout)" in text


def test_an_incident_that_has_ended_says_when() -> None:
    assert "clinical-orders 2: claims success that is not there, 0:40-1:10" in screen(view_of(incident(70)), 100, 30)


def test_the_newest_notes_are_shown() -> None:
    text = "\n".join(screen(view_of(), 100, 30))
    assert "note 11" in text
    assert "note 0:" not in text


def test_before_anything_has_landed_there_is_a_board_too() -> None:
    lines = screen(View(), 80, 24, elapsed=0)
    assert lines[0].startswith("Trueup demo 0:00")
    assert "lag -" in lines[0]


def test_a_clickhouse_that_is_away_is_told_and_the_last_numbers_stay() -> None:
    lines = screen(view_of(away="connection refused"), 100, 30)
    assert "ClickHouse does not answer" in lines[0]
    assert "12,345" in "\n".join(lines)


def test_what_is_called_like_markup_is_shown_as_it_is() -> None:
    view = view_of()
    view.notes.append(Note(84, "[bold]loud[/bold]"))
    assert "[bold]loud[/bold]" in "\n".join(screen(view, 100, 30))


def test_without_a_terminal_notes_are_written_once_and_the_state_now_and_then() -> None:
    written: list[str] = []
    lines, view = Lines(written.append), view_of(notes=0)
    for second in range(11):
        if second == 2:
            view.notes.append(Note(2, "the first tasks have landed"))
        lines.show(view, float(second))
    assert [line[:5] for line in written] == [" 0:02", " 0:05", " 0:10"]
    assert "74070 tasks finished" in written[1]
    assert "dead letters 0" in written[1]
