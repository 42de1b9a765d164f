"""The same counts through our evaluator and through Prometheus rules: the same firing minutes, one by one.

Our deviations (low-traffic guard, freezing) are switched off here and tested on their own.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.slo.alert import Freezing, Observation, evaluate
from pipeline.slo.alert_state import AlertState
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.durations import MINUTES_PER_DAY, spell_minutes
from pipeline.slo.windows import GUARD_OFF, Pair, Severity, workbook_pairs

INSTALL = "apt-get update && apt-get install -y --no-install-recommends prometheus"
DAYS = (7, 28)
TARGETS = ("0.9", "0.99", "0.999")
SCALE = 100_000  # events per minute where a share has to be exact

Minutes = list[tuple[int, int]]  # (bad, total) of each minute


@dataclass(frozen=True)
class Case:
    """One objective under one scenario, judged minute by minute by our evaluator."""

    scenario: str
    days: int
    target: str
    minutes: tuple[tuple[int, int], ...]

    @property
    def labels(self) -> str:
        return f'{{scenario="{self.scenario}",days="{self.days}",target="{self.target}"}}'

    def firing(self) -> dict[Severity, list[int]]:
        """The minutes in which each severity fires."""
        series = Series(Row(at, bad, total, total) for at, (bad, total) in enumerate(self.minutes))
        rule = Rule(Fraction(self.target), self.days * MINUTES_PER_DAY, pairs(self.days), GUARD_OFF)
        observations = [Observation("reported", series, rule)]
        fired: dict[Severity, list[int]] = {severity: [] for severity in Severity}
        state = AlertState(key="k")
        for minute in range(len(self.minutes)):
            state, _ = evaluate(state, observations, minute, freezing=Freezing(enabled=False))
            for severity in Severity:
                if f"reported/{severity}" in state.active:
                    fired[severity].append(minute)
        return fired


def pairs(days: int) -> tuple[Pair, ...]:
    return workbook_pairs(days * MINUTES_PER_DAY)


def limit(pair: Pair, target: str) -> Fraction:
    return pair.threshold * (1 - Fraction(target))


def lowest_page(days: int) -> Pair:
    """The pair that pages first as the share of bad events grows."""
    return min((pair for pair in pairs(days) if pair.severity is Severity.PAGE), key=lambda pair: pair.threshold)


def steady(length: int, share: Fraction, total: int = SCALE) -> Minutes:
    return [(int(min(share, Fraction(1)) * total), total)] * length


def scenarios(days: int, target: str) -> dict[str, Minutes]:
    """Each a list of minutes; `burning` is twenty times the budget, or everything where that is more than all."""
    budget = 1 - Fraction(target)
    burning, clean, silent = 20 * budget, Fraction(0), [(0, 0)]
    edge = min(limit(pairs(days)[0], target), Fraction(1))
    lowest = limit(lowest_page(days), target)  # below the others' limits: it alone decides
    one_more = [(int(lowest * SCALE) + 1, SCALE)]
    dice = random.Random(f"{days} {target}")  # noqa: S311 - no secret
    coins = [min(float(budget) * times, 1.0) for times in (0.5, 30, 2, 12, 0, 5)]
    sparse = [
        (sum(dice.random() < coins[at // 150 % len(coins)] for _ in range(events)), events)
        for at in range(900)
        for events in (dice.choice((0, 0, 0, 1, 1, 2, 5)),)
    ]
    return {
        "fast burn": steady(370, clean) + steady(300, burning) + steady(120, clean),
        "recovery and relapse": steady(60, clean) + (steady(17, burning) + steady(11, clean)) * 12 + steady(90, clean),
        "exactly at the threshold": steady(100, lowest) + one_more + steady(70, lowest),
        "spike just below": steady(60, clean) + steady(int(edge * 60), Fraction(1)) + steady(90, clean),
        "spike just above": steady(60, clean) + steady(int(edge * 60) + 1, Fraction(1)) + steady(90, clean),
        "gaps": steady(30, clean) + (steady(25, burning) + silent * 40) * 4 + steady(9, clean) + silent * 90,
        "sparse": sparse,
    }


def slow_burn(days: int, target: str) -> Minutes:
    """Too little for a page, enough for the slowest ticket after most of its window."""
    slowest = pairs(days)[-1]
    share = limit(slowest, target) * Fraction(5, 4)
    return steady(slowest.long // 4, Fraction(0)) + steady(slowest.long, share) + steady(slowest.short, Fraction(0))


def rules(days: int, targets: tuple[str, ...]) -> dict[str, Any]:
    """Recording rules for the ratios, and the two alerts of each target, as a Prometheus user writes them."""
    windows = sorted({window for pair in pairs(days) for window in (pair.long, pair.short)})
    recorded = [
        {
            "record": f"slo:bad:ratio{spell_minutes(window)}",
            "expr": f"increase(slo_bad[{spell_minutes(window)}]) / increase(slo_total[{spell_minutes(window)}])",
        }
        for window in windows
    ]

    def condition(pair: Pair, target: str) -> str:
        bound = repr(float(limit(pair, target)))
        ratios = [f'slo:bad:ratio{spell_minutes(window)}{{target="{target}"}}' for window in (pair.long, pair.short)]
        return f"({ratios[0]} > {bound} and {ratios[1]} > {bound})"

    alerts = [
        {
            "alert": severity.value,
            "expr": " or ".join(condition(pair, target) for pair in pairs(days) if pair.severity is severity),
        }
        for severity in Severity
        for target in targets
    ]
    return {"groups": [{"name": "ratios", "rules": recorded}, {"name": "alerts", "rules": alerts}]}


def questions(case: Case, severity: Severity, fired: list[int]) -> Iterator[dict[str, Any]]:
    """PromQL that holds exactly if Prometheus fired in these minutes: in each stretch all along, and never else.

    A counter's sample at minute m + 1 holds the events of minute m, so that is where minute m is judged.
    """
    alerts = f'ALERTS{{alertname="{severity}",alertstate="firing",{case.labels[1:]}'
    every = len(case.minutes)
    whole = {"expr": f"sum(count_over_time({alerts}[{every}m]))", "eval_time": f"{every}m"}
    yield whole | {"exp_samples": [{"value": len(fired)}] if fired else []}
    for _, group in groupby(enumerate(fired), lambda pair: pair[1] - pair[0]):
        stretch = [minute for _, minute in group]
        seconds = 60 * len(stretch) - 30
        yield {
            "expr": f"sum(count_over_time({alerts}[{seconds}s]))",
            "eval_time": f"{stretch[-1] + 1}m",
            "exp_samples": [{"value": len(stretch)}],
        }


def unit_test(cases: list[Case], fired: dict[Case, dict[Severity, list[int]]]) -> dict[str, Any]:
    """One promtool test group."""
    series = [
        {"series": name + case.labels, "values": "0 " + " ".join(map(str, accumulate(counts)))}
        for case in cases
        for name, counts in zip(("slo_bad", "slo_total"), zip(*case.minutes, strict=True), strict=True)
    ]
    asked = [
        question
        for case in cases
        for severity, minutes in fired[case].items()
        for question in questions(case, severity, minutes)
    ]
    return {"interval": "1m", "input_series": series, "promql_expr_test": asked}


def promtool(folder: Path, days: int, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yml").write_text(yaml.safe_dump(rules(days, TARGETS), width=10_000))
    order = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "group_eval_order": ["ratios", "alerts"]}
    (folder / "tests.yml").write_text(yaml.safe_dump(order | {"tests": tests}, width=10_000_000))
    command = ["promtool", "test", "rules", "tests.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module", autouse=True)
def _prometheus() -> None:
    if shutil.which("promtool") is None:
        pytest.skip(f"promtool is missing: {INSTALL}")
    version = subprocess.run(["promtool", "--version"], capture_output=True, text=True, check=True).stdout
    if "version 2." not in version:  # from 3.0 on, ranges leave out their oldest sample
        pytest.skip(f"promtool 2.x is needed, not {version.splitlines()[0]}")


@pytest.mark.parametrize("days", DAYS)
def test_the_same_minutes_fire_as_in_prometheus(days: int, tmp_path: Path) -> None:
    short = [
        Case(name, days, target, tuple(minutes))
        for target in TARGETS
        for name, minutes in scenarios(days, target).items()
    ]
    long = [Case("slow burn", days, target, tuple(slow_burn(days, target))) for target in TARGETS]
    fired = {case: case.firing() for case in (*short, *long)}
    result = promtool(tmp_path, days, [unit_test(short, fired), unit_test(long, fired)])
    assert result.returncode == 0, result.stdout + result.stderr

    # The comparison is worth something: most things fire somewhere, and what cannot does not.
    pages = {(case.scenario, case.target): minutes[Severity.PAGE] for case, minutes in fired.items()}
    assert pages["fast burn", "0.99"]
    assert pages["sparse", "0.999"]
    for target in TARGETS:  # from the one event too many on, as long as it is in the short window
        assert pages["exactly at the threshold", target] == list(range(100, 100 + lowest_page(days).short))
    assert not pages["slow burn", "0.9"]
    assert all(fired[case][Severity.TICKET] for case in long)


@pytest.mark.parametrize("severity", Severity)
def test_prometheus_objects_to_a_wrong_minute(severity: Severity, tmp_path: Path) -> None:
    """The comparison can fail: one minute more or one less is noticed."""
    case = Case("fast burn", 7, "0.99", tuple(scenarios(7, "0.99")["fast burn"]))
    fired = case.firing()
    for wrong in (fired[severity][1:], [*fired[severity], fired[severity][-1] + 1]):
        result = promtool(tmp_path, 7, [unit_test([case], {case: fired | {severity: wrong}})])
        assert result.returncode == 1
        assert "FAILED" in result.stderr
