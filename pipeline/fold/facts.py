"""What a task contributes to its window: a function of its row alone."""

from __future__ import annotations

from typing import NamedTuple

from schemas.rows import COUNTS, INDEX, TaskRow, WindowKey, WindowRow, other_costs
from schemas.units import MINUTE_US, bucket
from schemas.words import OVERRIDES, Intervention, Outcome, TaskStatus, Verdict

UNCLASSIFIED = "unclassified"
_FINISHED, _ABANDONED = TaskStatus.FINISHED.value, TaskStatus.ABANDONED.value
_SIGNED = INDEX["satisfaction_micro"]


class Facts(NamedTuple):
    """A task's part of the window `key`. `counts` by name, those that are left out are 0."""

    key: WindowKey
    counts: dict[str, int]
    cycle_us: int | None
    """Bucket of the time from start to finish."""
    latency_us: dict[int, int]
    scores: dict[str, int]


def window_of(row: TaskRow) -> WindowKey | None:
    """The window that a task belongs to: of its claim, or of its last work once abandoned; else None."""
    if row.status == _FINISHED:
        at = row.claim_at
    elif row.status == _ABANDONED:
        at = row.last_at
    else:
        return None
    return WindowKey(
        at // MINUTE_US * 60, row.tenant, row.workflow, row.stage, row.environment,
        row.agent, row.agent_version, row.case_type or UNCLASSIFIED, row.model,
    )  # fmt: skip


def facts(row: TaskRow) -> Facts | None:
    """The contribution of a task, or None while it is open."""
    key = window_of(row)
    if key is None:
        return None
    finished = row.status == _FINISHED
    counts = {"tasks_finished" if finished else "tasks_abandoned": 1}
    _count_work(row, counts)
    if finished:
        counts[f"claimed_{row.claim}"] = 1
        _count_verdict(row, counts)
        _count_people(row, counts)
        _count_cost(row, counts)
    cycle = bucket(max(0, row.claim_at - row.start_at)) if finished and row.start_at else None
    return Facts(key, counts, cycle, dict(row.latency_us), dict(row.scores) if finished else {})


def _count_work(row: TaskRow, counts: dict[str, int]) -> None:
    if not row.actions:
        return
    counts["actions"], counts["action_errors"] = row.actions, row.action_errors
    counts["model_calls"], counts["input_tokens"] = row.model_calls, row.input_tokens
    counts["output_tokens"], counts["reasoning_tokens"] = row.output_tokens, row.reasoning_tokens
    counts["cache_read_tokens"], counts["cache_write_tokens"] = row.cache_read_tokens, row.cache_write_tokens
    counts["tool_calls"], counts["tool_errors"] = row.tool_calls, row.tool_errors


def _count_verdict(row: TaskRow, counts: dict[str, int]) -> None:
    if row.verdict not in (Verdict.SUCCESS, Verdict.FAILURE):
        return
    right, claimed, weight = row.verdict == Verdict.SUCCESS, row.claim == Outcome.SUCCESS, row.weight
    counts["verdict_known"], counts["verdict_success"] = 1, right
    counts["weight_known"], counts["weight_success"] = weight, weight * right
    counts["weight_squared_known"] = weight * weight
    if claimed:
        counts["claimed_success_known"], counts["discrepancies"] = 1, not right
        counts["weight_claimed_success_known"], counts["weight_discrepancies"] = weight, weight * (not right)
        counts["weight_squared_claimed_success_known"] = weight * weight
    else:
        counts["underclaims"], counts["weight_underclaims"] = right, weight * right


def _count_people(row: TaskRow, counts: dict[str, int]) -> None:
    if row.interventions:
        counts["overridden"] = any(kind in OVERRIDES for kind in row.interventions)
        counts["escalated"] = Intervention.ESCALATED in row.interventions
        counts["approved"] = Intervention.APPROVED in row.interventions
        counts["human_us"] = row.human_us
    if row.answered:
        counts["answered"], counts["complaints"] = row.answered, row.complaint
    if row.satisfaction is not None:
        counts["satisfaction_known"], counts["satisfaction_micro"] = 1, row.satisfaction


def _count_cost(row: TaskRow, counts: dict[str, int]) -> None:
    model = row.model_cost
    if model is None:
        counts["cost_partial_nano"] = row.step_cost + sum(row.costs.values())
        return
    cost = model + other_costs(row.costs)
    counts["cost_known"], counts["cost_nano"], counts["cost_model_nano"] = 1, cost, model
    for category, nano in row.costs.items():
        if category != "model":
            counts[f"cost_{category}_nano"] = nano
    if row.verdict in (Verdict.SUCCESS, Verdict.FAILURE):
        counts["cost_of_verified_nano"] = cost
        counts["verdict_success_cost_known"] = row.verdict == Verdict.SUCCESS


class Change:
    """What a step of the fold does to one window: the sum of contributions that came and went."""

    __slots__ = ("counts", "cycle_us", "latency_us", "scores", "seq", "takes_back")

    def __init__(self) -> None:
        self.seq = -1
        self.takes_back = False
        self.counts = [0] * len(COUNTS)
        self.cycle_us: dict[int, int] = {}
        self.latency_us: dict[int, int] = {}
        self.scores: dict[str, tuple[int, int]] = {}

    def add(self, part: Facts, sign: int) -> None:
        """A contribution comes (`sign` 1) or goes (-1)."""
        self.takes_back |= sign < 0
        counts = self.counts
        for name, n in part.counts.items():
            if n:
                counts[INDEX[name]] += sign * n
        if part.cycle_us is not None:
            _merge(self.cycle_us, {part.cycle_us: 1}, sign)
        _merge(self.latency_us, part.latency_us, sign)
        for name, score in part.scores.items():
            n, total = self.scores.get(name, (0, 0))
            self.scores[name] = (n + sign, total + sign * score)

    def apply(self, window: WindowRow) -> bool:
        """Bring a window up to this step. False: it is there already."""
        if self.seq <= window.seq:
            return False
        window.seq = self.seq
        window.counts = [a + b for a, b in zip(window.counts, self.counts, strict=True)]
        _merge(window.cycle_us, self.cycle_us, 1)
        _merge(window.latency_us, self.latency_us, 1)
        for name, (n, total) in self.scores.items():
            held_n, held_total = window.scores.get(name, (0, 0))
            window.scores[name] = (held_n + n, held_total + total)
            if window.scores[name] == (0, 0):
                del window.scores[name]
        if self.takes_back:
            _floor(window)
        return True


def _merge(into: dict[int, int], part: dict[int, int], sign: int) -> None:
    for index, n in part.items():
        count = into.get(index, 0) + sign * n
        if count:
            into[index] = count
        else:
            del into[index]


def _floor(window: WindowRow) -> None:
    """Let nothing be less than nothing: more can be taken back than is there only when the window was damaged.

    Until it is repaired it is wrong either way; but ClickHouse takes no negative counts, so the worker would stop.
    """
    window.counts = [n if n >= 0 or i == _SIGNED else 0 for i, n in enumerate(window.counts)]
    for held in (window.cycle_us, window.latency_us):
        for index in [index for index, n in held.items() if n < 0]:
            del held[index]
    for name in [name for name, (n, _) in window.scores.items() if n < 0]:
        del window.scores[name]


def empty_window(key: WindowKey) -> WindowRow:
    """A window that counts nothing yet."""
    return WindowRow(key, -1, [0] * len(COUNTS), {}, {}, {})
