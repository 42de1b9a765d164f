"""What objectives are counted from: tasks that changed, and how far the log has been folded.

A task's row carries `seq`, its place in its partition's log, so what has changed since a known place is one condition.
Places are taken from the envelopes, which are written last: rows up to an envelope are all there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.event import EVENTS_PER_MESSAGE
from sinks.clickhouse.client import select_lines

_FACTS = """concat(toString(epoch), '/', task_id) AS key, workflow, case_type,
    if(stage = 'control', 'control', status) AS standing,
    intDiv(if(status = 'finished', claim_at, last_at), 60000000) AS minute,
    intDiv(if(status = 'finished', claim_seen, given_up_seen), 60000000) AS known,
    claim, verdict, weight, intDiv(verdict_seen, 60000000) AS verified,
    mapKeys(interventions) AS kinds, intDiv(intervened_seen, 60000000) AS intervened,
    answered, complaint, satisfaction, intDiv(answered_seen, 60000000) AS told,
    root_cost, step_cost, unpriced, model_calls, costs,
    if(start_at = 0, NULL, greatest(claim_at - start_at, 0)) AS cycle_us, actions, action_errors, scores"""

_LOAD = f"""SELECT {_FACTS} FROM task_rows FINAL
WHERE workflow IN {{workflows:Array(String)}} AND status IN ('finished', 'abandoned') AND stage != 'control'
AND greatest(claim_at, last_at, claim_seen, given_up_seen, verdict_seen, intervened_seen, answered_seen)
    >= {{since:Int64}}"""  # noqa: S608 - our own column names

_TOLD = f"""SELECT {_FACTS}, task_id, agent_version FROM task_rows FINAL
WHERE workflow = {{workflow:String}} AND status IN ('finished', 'abandoned') AND stage != 'control'
AND greatest(claim_at, last_at, claim_seen, given_up_seen, verdict_seen, intervened_seen, answered_seen)
    >= {{since:Int64}}
ORDER BY greatest(claim_at, last_at) DESC, task_id LIMIT {{most:UInt32}}"""  # noqa: S608

# Without FINAL: of a task with a newer version, that one passes the condition, too, and `LIMIT 1 BY` takes it.
_CHANGED = f"""SELECT {_FACTS} FROM task_rows
WHERE epoch = {{epoch:UInt16}} AND toInt64(seq) > {{places:Array(Int64)}}[partition + 1]
ORDER BY seq DESC LIMIT 1 BY epoch, partition, task_id"""  # noqa: S608

_PROGRESS = """SELECT partition, max(if(epoch = {epoch:UInt16}, toInt64(offset), -1)), max(received) FROM envelope_rows
WHERE epoch > {before:Int32} AND epoch <= {epoch:UInt16} AND toInt64(offset) >= {least:Int64}
AND partition < {partitions:UInt16} GROUP BY partition"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far each partition of an epoch has been folded: the offset of the last message, and its Kafka timestamp.

    A partition of which nothing has been folded yet has offset -1, and the timestamp of the epoch before, or 0.
    """

    epoch: int
    partitions: int
    offsets: Mapping[int, int] = field(default_factory=dict)
    received: Mapping[int, int] = field(default_factory=dict)
    """Microseconds."""

    @property
    def places(self) -> list[int]:
        """For each partition, the greatest `seq` whose rows are all there; -1: none."""
        offsets = (self.offsets.get(partition, -1) for partition in range(self.partitions))
        return [(offset + 1) * EVENTS_PER_MESSAGE - 1 if offset >= 0 else -1 for offset in offsets]

    @property
    def complete_until(self) -> int | None:
        """The last minute of which every partition has been folded to its end; None if one has never been."""
        if len(self.received) < self.partitions:
            return None
        return min(self.received.values()) // 60_000_000 - 1


def progress(client: Client, epoch: int, partitions: int, known: Progress | None = None) -> Progress:
    """How far the log has been folded. With `known`, an earlier answer, only what came after it is read."""
    known = known if known is not None and known.epoch == epoch and known.partitions == partitions else None
    least = min(known.offsets.values(), default=-1) if known and len(known.offsets) == partitions else -1
    before = epoch - 1 if least >= 0 else -1
    parameters = {"epoch": epoch, "before": before, "least": least, "partitions": partitions}
    offsets = dict(known.offsets) if known else {}
    received = dict(known.received) if known else {}
    for line in select_lines(client, _PROGRESS, parameters):
        partition, offset, last = msgspec.json.decode(line)
        if offset >= 0:
            offsets[partition] = max(offset, offsets.get(partition, -1))
        received[partition] = max(last, received.get(partition, 0))
    return Progress(epoch, partitions, offsets, received)


def counted_tasks(client: Client, workflows: Sequence[str], since: int) -> list[bytes]:
    """The facts of every finished and abandoned task of some workflows that was in any way news since (microseconds).

    Each line is a `pipeline.objectives.facts.TaskFacts`.
    """
    return select_lines(client, _LOAD, {"workflows": list(workflows), "since": since})


def changed_tasks(client: Client, since: Progress) -> list[bytes]:
    """The facts of every task, of whatever workflow and status, that changed after `since`."""
    return select_lines(client, _CHANGED, {"epoch": since.epoch, "places": since.places})


def told_tasks(client: Client, workflow: str, since: int, most: int) -> list[bytes]:
    """Like `counted_tasks` of one workflow, at most so many, the newest first; and of each its id and agent version."""
    return select_lines(client, _TOLD, {"workflow": workflow, "since": since, "most": most})
