"""docs/objectives.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import Settings
from pipeline.objectives.rules import WITHOUT_NEWS
from pipeline.slo import annotations
from pipeline.slo.metrics import METRICS, Kind
from pipeline.slo.resolve import check

TEXT = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()


def rows(columns: int, first: str) -> list[list[str]]:
    """The rows of tables with so many columns whose first cell begins so."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")
    ]
    return [row for row in cells if len(row) == columns and row[0].startswith(first)]


def test_the_example_can_be_applied() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    checked = check([("objectives.md", example)])
    assert not checked.problems
    assert [each.slo for each in checked.objectives] == ["claims-success", "claims-cost"]


def test_every_annotation_is_told_with_its_kind() -> None:
    told = {row[0].strip("`"): {kind.strip() for kind in row[1].split(",")} for row in rows(3, "`trueup.dev/")}
    known: dict[str, set[str]] = {}
    for kind, readers in annotations._READERS.items():
        for name in readers:
            known.setdefault(f"trueup.dev/{name}", set()).add(kind)
    assert told == known


def test_every_metric_is_told_with_what_is_good_and_when_it_is_known() -> None:
    told = {row[0].strip("`"): row[1:] for row in rows(3, "`") if not row[0].startswith("`trueup.dev")}
    assert list(told) == list(METRICS)
    for name, (good, known) in told.items():
        metric = METRICS[name]
        if metric.kind is Kind.CAP:
            sides = {True: "at or under the cap", False: "at or over the cap", None: "at or over the cap, or under it"}
            assert good == sides[metric.at_most]
        else:
            assert good == ("numerator" if metric.numerator_is_good else "the rest")
        assert (known == "once it is mature") is (name in WITHOUT_NEWS)
        assert known.startswith("with the task") is not metric.late


def test_every_setting_it_names_exists() -> None:
    for name in re.findall(r"`alerter\.([a-z_]+)`", TEXT):
        assert name in type(Settings().alerter).model_fields
