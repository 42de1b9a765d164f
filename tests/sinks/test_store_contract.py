"""What every store does: one suite, over each of them."""

from __future__ import annotations

import msgspec
import pytest

from schemas.message import decode_message, encode_line
from schemas.rows import COUNTS, DeadLetter, Envelope, TaskRow, WindowKey, WindowRow
from sinks.port import WRITE_ORDER, OpenTasks, Store
from sinks.raw import raw_line, raw_row
from tests.events import event, payload_of

HOSTILE = (
    "it's",
    'say "x"',
    "back\\slash",
    "new\nline",
    "tab\t",
    "日本",
    "'; DROP TABLE task_rows --",
    "{p:UInt16}",
    "\x00",
    "🙂",
)
KEY = WindowKey(1_700_000_040, "", "refunds", "production", "", "agent", "1", "late", "m")


def window(seq: int, *, finished: int = 1, key: WindowKey = KEY) -> WindowRow:
    counts = [0] * len(COUNTS)
    counts[0] = finished
    return WindowRow(key, seq, counts, {12: 3, 2_695: 1}, {7: 2}, {"judge": (2, -1_500_000)})


def task(task_id: str, seq: int, partition: int = 0, **told: object) -> TaskRow:
    return msgspec.structs.replace(TaskRow(partition, 0, task_id), seq=seq, **told)


def raw(task_id: str, seq: int, event_id: str, partition: int = 0, **told: object) -> bytes:
    return raw_line(partition, 0, seq, encode_line(event(task_id=task_id, event_id=event_id, **told)))


def test_what_was_never_written_is_absent(store: Store) -> None:
    assert store.frontier(0) == -1
    assert store.open_tasks(0) == []
    assert store.tasks(0, ["a"]) == []
    assert store.windows(0, [KEY]) == []
    assert store.events(0, {"a": 5}) == {"a": []}
    assert store.stored({0: ["a"]}) == []
    assert store.newest_window(0) == -1


def test_asking_for_nothing_gives_nothing(store: Store) -> None:
    assert store.tasks(0, []) == []
    assert store.windows(0, []) == []
    assert store.events(0, {}) == {}
    assert store.stored({}) == store.stored({0: []}) == []


@pytest.mark.parametrize("table", WRITE_ORDER)
def test_writing_no_rows_changes_nothing(store: Store, table: str) -> None:
    store.write(table, [])
    assert store.frontier(0) == -1


@pytest.mark.parametrize("order", [(3, 9), (9, 3), (9, 3, 9, 3)])
def test_the_row_with_the_greatest_seq_counts_in_whatever_order_rows_come(store: Store, order: tuple[int, ...]) -> None:
    for seq in order:
        store.write("tasks", [task("a", seq, actions=seq).line()])
        store.write("windows", [window(seq, finished=seq).line(0, 0)])
    (row,) = store.tasks(0, ["a"])
    (found,) = store.windows(0, [KEY])
    assert (row.seq, row.actions, found.seq, found.counts[0]) == (9, 9, 9, 9)
    assert store.frontier(0) == 9


def test_both_versions_may_come_in_one_write(store: Store) -> None:
    store.write("tasks", [task("a", 9, actions=9).line(), task("a", 3, actions=3).line()])
    store.write("windows", [window(9, finished=9).line(0, 0), window(3).line(0, 0)])
    assert store.tasks(0, ["a"])[0].actions == 9
    assert store.windows(0, [KEY])[0].counts[0] == 9


def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    written = task(
        "a", 4_096, status="finished", claim="success", start_at=1, satisfaction=0, root_cost=None, step_cost=2**53,
        interventions={"corrected": 2}, costs={"human": 7}, latency_us={130: 4}, scores={"j": -5}, trace_ids=["t", "u"],
    )  # fmt: skip
    store.write("tasks", [written.line()])
    assert store.tasks(0, ["a"]) == [written]
    store.write("windows", [window(5).line(0, 0)])
    assert store.windows(0, [KEY]) == [window(5)]


def test_what_is_loaded_belongs_to_who_loaded_it(store: Store) -> None:
    store.write("tasks", [task("a", 1, costs={"tool": 1}).line()])
    store.write("windows", [window(1).line(0, 0)])
    store.tasks(0, ["a"])[0].costs["tool"] = 99
    store.windows(0, [KEY])[0].counts[0] = 99
    assert store.tasks(0, ["a"])[0].costs == {"tool": 1}
    assert store.windows(0, [KEY])[0].counts[0] == 1


def test_the_first_occurrence_of_an_event_is_kept(store: Store) -> None:
    store.write("events", [raw("a", 9, "x"), raw("a", 4, "x"), raw("a", 6, "x"), raw("a", 7, "y")])
    found = {(seq, e.event_id) for seq, e in store.events(0, {"a": 100})["a"]}
    assert {(4, "x"), (7, "y")} <= found
    assert min(seq for seq, name in found if name == "x") == 4


def test_events_come_up_to_the_seq_that_is_asked_for(store: Store) -> None:
    store.write("events", [raw("a", 4, "x"), raw("a", 7, "y"), raw("b", 5, "z")])
    found = store.events(0, {"a": 6, "b": 5})
    assert [(seq, e.event_id) for seq, e in found["a"]] == [(4, "x")]
    assert [(seq, e.event_id) for seq, e in found["b"]] == [(5, "z")]


def test_an_event_comes_back_as_it_was_written(store: Store) -> None:
    told = event(task_id="a", event_id="e", input_tokens=0, cost=10**15, number=-5, attributes={"k": "v"}, scope="s")
    store.write("events", [raw_line(0, 0, 3, encode_line(told))])
    assert store.events(0, {"a": 3})["a"] == [(3, told)]


def test_the_events_of_a_message_come_in_one_row_and_some_may_be_left_out(store: Store) -> None:
    told = [event(task_id=name, event_id=str(n), name=HOSTILE[3 + n]) for n, name in enumerate("aabcc")]
    pieces, text, _ = decode_message(payload_of(told))
    assert [len(piece.events) for piece in pieces] == [2, 1, 2]
    store.write("events", [raw_row(0, 0, 2, pieces, text, {1, 2})])
    found = store.events(0, dict.fromkeys("abc", 9_000))
    assert found == {"a": [(8_192, told[0])], "b": [], "c": [(8_195, told[3]), (8_196, told[4])]}
    store.write("events", [raw_row(0, 0, 3, pieces, text)])
    assert store.events(0, {"b": 99_999})["b"] == [(12_290, told[2])]
    assert (12_289, told[1]) in store.events(0, {"a": 99_999})["a"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b",7,null", b",-0,null"),
        (b",", b" ,\n\t "),
        (b'"name"', b'"\\u006eame\\u0000\\/\\ud83d\\ude00"'),
        (b'{"k":"v"}', b'{"k":"u","":"w","k":"v"}'),
    ],
    ids=["zero", "spaces", "escapes", "keys told twice"],
)
def test_what_somebody_else_wrote_as_json_comes_back_as_we_read_it(store: Store, ours: bytes, theirs: bytes) -> None:
    told = [event(task_id="a", event_id=str(n), name="name", weight=7, attributes={"k": "v"}) for n in range(3)]
    payload = payload_of(told)
    assert ours in payload
    pieces, text, _ = decode_message(payload.replace(ours, theirs))
    store.write("events", [raw_row(0, 0, 2, pieces, text)])
    assert store.events(0, {"a": 9_000})["a"] == [(8_192 + n, e) for n, e in enumerate(pieces[0].events)]


def test_partitions_know_nothing_of_each_other(store: Store) -> None:
    store.write("tasks", [task("a", 7, 1, status="open").line()])
    store.write("windows", [window(8).line(1, 0)])
    store.write("events", [raw("a", 7, "x", 1)])
    assert (store.frontier(0), store.frontier(1)) == (-1, 8)
    assert store.tasks(0, ["a"]) == []
    assert store.open_tasks(0) == []
    assert store.windows(0, [KEY]) == []
    assert store.events(0, {"a": 9}) == {"a": []}
    assert store.newest_window(0) == -1
    assert store.newest_window(1) == KEY.minute
    assert store.stored({0: ["a"]}) == []


def test_tasks_of_many_partitions_come_at_once_each_with_its_events_up_to_its_row(store: Store) -> None:
    rows = [task("a", 7), task("a", 9, 1), task("b", 6, 2)]
    store.write("tasks", [row.line() for row in [task("a", 3), *rows]])
    events = [raw("a", 2, "w"), raw("a", 7, "x"), raw("a", 8, "beyond"), raw("a", 9, "y", 1), raw("c", 1, "z", 2)]
    store.write("events", events)
    found = sorted(store.stored({0: ["a", "b"], 1: ["a"], 2: ["b", "c"]}), key=lambda each: each.row.partition)
    assert [row for row, _ in found] == rows
    assert [sorted((seq, e.event_id) for seq, e in told) for _, told in found] == [[(2, "w"), (7, "x")], [(9, "y")], []]


def test_what_is_beyond_a_place_of_the_log_comes_as_it_is_now_and_of_very_much_the_first(store: Store) -> None:
    later = WindowKey(60, *KEY[1:])
    store.write("tasks", [task("a", 3, status="open").line(), task("b", 5).line(), task("c", 4, 1).line()])
    store.write("tasks", [task("a", 9, status="finished").line(), task("d", 7).line()])
    store.write("windows", [window(2).line(0, 0), window(8, key=later).line(0, 0), window(6).line(1, 0)])
    assert {(row.task_id, row.seq, row.status) for row in store.tasks_beyond(0, 5, 9)} == {
        ("a", 9, "finished"), ("d", 7, "announced"),
    }  # fmt: skip
    assert [row.task_id for row in store.tasks_beyond(0, 4, 1)] == ["b"]
    assert store.tasks_beyond(0, 9, 9) == []
    assert [(row.key, row.seq) for row in store.windows_beyond(0, 2, 9)] == [(later, 8)]
    assert [row.seq for row in store.windows_beyond(0, -1, 1)] == [2]
    assert store.windows_beyond(0, 8, 9) == []


def test_open_tasks_are_those_whose_newest_row_is_open(store: Store) -> None:
    store.write("tasks", [task("a", 1, status="open").line(), task("b", 1, status="open").line()])
    store.write("tasks", [task("a", 2, status="finished").line(), task("c", 3, status="abandoned").line()])
    assert [some.task_ids for some in store.open_tasks(0)] == [["b"]]


def test_open_tasks_come_by_workflow_with_the_longest_silent_first(store: Store) -> None:
    for task_id, seq, workflow, seen in ("b", 1, "v", 30), ("a", 7, "w", 20), ("c", 5, "v", 10), ("d", 3, "v", 20):
        store.write("tasks", [task(task_id, seq, status="open", workflow=workflow, last_seen=seen).line()])
    store.write("tasks", [task("c", 6, status="open", workflow="v", last_seen=40).line()])
    assert sorted(store.open_tasks(0)) == [
        OpenTasks("v", 6, [20, 30, 40], ["d", "b", "c"]),
        OpenTasks("w", 7, [20], ["a"]),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_only_text(store: Store, text: str) -> None:
    key = KEY._replace(workflow=text, case_type=text)
    store.write("tasks", [task(text, 1, status="open", workflow=text, interventions={text: 1}).line()])
    store.write("windows", [window(1, key=key).line(0, 0)])
    store.write("events", [raw(text, 1, text, name=text, attributes={text: text})])
    assert store.tasks(0, [text])[0].workflow == text
    assert store.open_tasks(0) == [OpenTasks(text, 1, [0], [text])]
    assert store.windows(0, [key]) == [window(1, key=key)]
    ((_, found),) = store.events(0, {text: 1})[text]
    assert (found.name, found.attributes) == (text, {text: text})


def test_numbers_beyond_64_bits_are_exact(store: Store) -> None:
    row = window(2**62)
    row.counts[COUNTS.index("weight_squared_known")] = 3 * 2**100
    store.write("windows", [row.line(0, 0)])
    assert store.windows(0, [KEY]) == [row]
    assert store.frontier(0) == 2**62


def test_closed_tasks_are_found_by_the_workflow_and_minute_in_which_they_count(store: Store) -> None:
    at, before = KEY.minute * 1_000_000, KEY.minute * 1_000_000 - 1
    finished = {"workflow": "refunds", "status": "finished", "claim": "success"}
    rows = [
        task("finished", 1, **finished, claim_at=at + 59_999_999, last_at=before),
        task("given up", 1, workflow="refunds", status="abandoned", last_at=at),
        task("a minute before", 1, **finished, claim_at=before),
        task("open", 1, workflow="refunds", status="open", last_at=at),
        task("of another workflow", 1, **finished | {"workflow": "returns"}, claim_at=at),
        task("moved", 1, **finished, claim_at=at),
        task("moved", 2, **finished, claim_at=before),
    ]
    store.write("tasks", [row.line() for row in rows])
    found = store.closed_tasks(0, {("refunds", KEY.minute), ("it's", 0)})
    assert sorted(row.task_id for row in found) == ["finished", "given up"]
    assert rows[0] in found
    assert store.closed_tasks(1, {("refunds", KEY.minute)}) == []
    assert store.closed_tasks(0, set()) == []


def test_when_a_message_came_is_told_by_its_envelope(store: Store) -> None:
    store.write("envelopes", [Envelope(0, 0, offset, 10**15 + offset, 3, 0, 0).line() for offset in (4, 5, 2**50)])
    assert store.received(0, {4, 2**50, 6}) == {4: 10**15 + 4, 2**50: 10**15 + 2**50}
    assert store.received(1, {4}) == {}
    assert store.received(0, set()) == {}


def test_dead_letters_and_envelopes_may_be_written_again(store: Store) -> None:
    dead = DeadLetter("otlp_spans", 0, 5, -1, 1, "not_otlp", "why", "").line()
    for _ in range(2):
        store.write("dead_letters", [dead])
        store.write("envelopes", [Envelope(0, 0, 5, 1, 3, 0, 0).line()])
    assert store.frontier(0) == -1
