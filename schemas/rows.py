"""The rows that land in ClickHouse. The order of the fields is the order of the columns.

A row is absolute, a pure function of a prefix of its partition's log, and `seq` says of which: the
position of the last event in it. Writing an older or the same one again changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

from schemas.words import Stage


class WindowKey(NamedTuple):
    """What a window is about. `minute` is the start of a minute, in seconds since the epoch."""

    minute: int
    tenant: str
    workflow: str
    stage: str
    environment: str
    agent: str
    agent_version: str
    case_type: str
    model: str


COUNTS = (
    "tasks_finished",
    "tasks_abandoned",
    "claimed_success",
    "claimed_failure",
    "claimed_escalated",
    "claimed_gave_up",
    "verdict_known",
    "verdict_success",
    "claimed_success_known",
    "discrepancies",
    "underclaims",
    "overridden",
    "escalated",
    "approved",
    "answered",
    "complaints",
    "satisfaction_known",
    "satisfaction_micro",
    "human_us",
    "cost_known",
    "cost_nano",
    "cost_model_nano",
    "cost_tool_nano",
    "cost_human_nano",
    "cost_engineering_nano",
    "cost_operations_nano",
    "cost_partial_nano",
    "cost_of_verified_nano",
    "verdict_success_cost_known",
    "weight_known",
    "weight_success",
    "weight_claimed_success_known",
    "weight_discrepancies",
    "weight_underclaims",
    "weight_squared_known",
    "weight_squared_claimed_success_known",
    "actions",
    "action_errors",
    "model_calls",
    "tool_calls",
    "tool_errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
"""What a window counts over its finished and abandoned tasks. Open tasks are read from their rows."""

INDEX = {name: i for i, name in enumerate(COUNTS)}


class WindowRow(msgspec.Struct):
    """A (minute, dimensions) of one partition."""

    key: WindowKey
    seq: int
    counts: list[int]
    """In the order of COUNTS."""
    cycle_us: dict[int, int]
    """Bucket (`units.bucket`) of microseconds from start to finish -> finished tasks."""
    latency_us: dict[int, int]
    """Bucket of microseconds -> actions."""
    scores: dict[str, tuple[int, int]]
    """Evaluator -> tasks scored, sum of their scores in millionths."""

    def line(self, partition: int, epoch: int) -> bytes:
        """The row as ClickHouse reads it (JSONCompactEachRow)."""
        return _encode(
            (partition, epoch, *self.key, self.seq, *self.counts, self.cycle_us, self.latency_us, self.scores)
        )

    @staticmethod
    def from_line(line: bytes) -> tuple[int, WindowRow]:
        """The partition and the row of a line."""
        values: list[Any] = msgspec.json.decode(line)
        counts_from = 2 + len(WindowKey._fields) + 1
        counts_to = counts_from + len(COUNTS)
        cycle, latency, scores = values[counts_to:]
        return values[0], WindowRow(
            WindowKey(*values[2 : counts_from - 1]),
            values[counts_from - 1],
            values[counts_from:counts_to],
            {int(k): v for k, v in cycle.items()},
            {int(k): v for k, v in latency.items()},
            {k: (n, total) for k, (n, total) in scores.items()},
        )


WINDOW_COLUMNS = (
    "partition",
    "epoch",
    *WindowKey._fields,
    "seq",
    *COUNTS,
    "cycle_us",
    "latency_us",
    "scores",
)


class TaskRow(msgspec.Struct, array_like=True):
    """One task of one partition: what its windows count of it, and what a person asks about it."""

    partition: int
    epoch: int
    task_id: str
    seq: int = -1
    status: str = "announced"
    task_source: str = ""
    tenant: str = ""
    workflow: str = ""
    stage: str = ""
    environment: str = ""
    agent: str = ""
    agent_version: str = ""
    case_type: str = ""
    model: str = ""
    start_at: int = 0
    """Microseconds; 0: no work seen."""
    last_at: int = 0
    """Time of its last piece of work: an action, a claim or an intervention."""
    last_seen: int = 0
    """Greatest Kafka timestamp (microseconds) of a message with a new piece of work."""
    claim: str = ""
    claim_at: int = 0
    claim_explicit: int = 0
    verdict: str = ""
    verdict_at: int = 0
    verifier: str = ""
    weight: int = 0
    interventions: dict[str, int] = {}
    human_us: int = 0
    answered: int = 0
    complaint: int = 0
    satisfaction: int | None = None
    events: int = 0
    actions: int = 0
    action_errors: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    usage_known: int = 0
    """Model calls that told their tokens, or failed and so used none."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    unpriced: int = 0
    """Model calls and embeddings whose cost is unknown."""
    root_cost: int | None = None
    """The agent's own account of the model cost: it replaces the sum of the steps."""
    step_cost: int = 0
    costs: dict[str, int] = {}
    """Category -> nano-dollars, of costs that arrived as events and of tools that told theirs.

    UNPRICED, which always has 0, is among them where a human took time of unknown price."""
    latency_us: dict[int, int] = {}
    scores: dict[str, int] = {}
    """Evaluator -> latest score in millionths."""
    trace_ids: list[str] = []
    run_failed: int = 0
    """1: by its spans the run failed, whatever it claimed or did not come to claim."""
    untold_runs: int = 0
    """Runs of instrumentations that tell no model calls, and how many of them succeeded."""
    untold_successes: int = 0
    linked_to: str = ""
    """The task that this trace turned out to belong to."""
    passed_on: int = 0
    """Events that came after the link, and went straight on to that task."""
    claim_seen: int = 0
    """When something became known, by the Kafka timestamp of its message (microseconds): the claim that counts."""
    given_up_seen: int = 0
    """When it was last given up."""
    verdict_seen: int = 0
    """The verdict that counts."""
    intervened_seen: int = 0
    """The last intervention."""
    answered_seen: int = 0
    """The last feedback."""

    def line(self) -> bytes:
        """The row as ClickHouse reads it (JSONCompactEachRow)."""
        return _encode(self)

    @property
    def model_cost(self) -> int | None:
        """Nano-dollars of its model calls; None while a part of the whole is unknown."""
        told = self.root_cost, self.step_cost, self.unpriced, self.model_calls, self.costs
        return model_cost(*told, is_control=self.stage == Stage.CONTROL)


UNPRICED = "unpriced"
"""Not a category: what a task has among its costs that took human time which has no price."""


def model_cost(
    root_cost: int | None,
    step_cost: int,
    unpriced: int,
    model_calls: int,
    costs: dict[str, int],
    *,
    is_control: bool,
) -> int | None:
    """The agent's own account, else the sum of its steps when each is known; and what events added.

    Nano-dollars; None while a part of the task's cost is unknown, and where nothing tells what was used of models:
    an agent without model calls may have some that nobody instruments. The process without the agent (`is_control`)
    has none, so there any cost will do.
    """
    if UNPRICED in costs:
        return None
    added = costs.get("model", 0)
    if root_cost is not None:
        return root_cost + added
    if unpriced or not (model_calls or "model" in costs or (is_control and costs)):
        return None
    return step_cost + added


def other_costs(costs: dict[str, int]) -> int:
    """Nano-dollars of everything beside the model."""
    return sum(nano for category, nano in costs.items() if category != "model")


TASK_COLUMNS = TaskRow.__struct_fields__
LOG_ONLY = (
    "seq",
    "last_seen",
    "passed_on",
    "claim_seen",
    "given_up_seen",
    "verdict_seen",
    "intervened_seen",
    "answered_seen",
)
"""What of a task its raw events do not tell, only the log did."""


_Partition = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class DeadLetter(msgspec.Struct, array_like=True):
    """Something that could not be used, where it came from, and why."""

    topic: str
    partition: _Partition
    offset: _Offset
    index: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
    """Which record of the message; -1: the whole message."""
    received: _Time
    """Kafka timestamp, microseconds."""
    reason: str
    detail: str
    payload: str
    """Base64; redacted unless the configuration keeps it whole."""
    replayed: _Time = 0
    """Kafka timestamp (microseconds) of the copy that could not be used either; 0: it was never replayed."""
    records: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 1
    """How many records of the message it stands for; `index` is the first of them."""

    def line(self) -> bytes:
        """The row as ClickHouse reads it (JSONCompactEachRow)."""
        return _encode(self)


class Replay(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """That a message with dead letters was sent again and normalised. Those that did not come again are resolved."""

    topic: str
    partition: _Partition
    offset: _Offset
    """Where the original is."""
    at: _Time
    """Kafka timestamp of the copy, microseconds."""

    def line(self) -> bytes:
        """The row as ClickHouse reads it (JSONCompactEachRow)."""
        return _encode(self)


class Envelope(msgspec.Struct, array_like=True):
    """That a message of `agent.actions` was folded, and how many events it held."""

    partition: int
    epoch: int
    offset: int
    received: int
    events: int
    clock: int
    dead: int

    def line(self) -> bytes:
        """The row as ClickHouse reads it (JSONCompactEachRow)."""
        return _encode(self)


_encode = msgspec.json.Encoder().encode
