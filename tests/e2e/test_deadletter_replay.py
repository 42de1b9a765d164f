"""Dead letters: found, read, and tried again once the cause is mended; nothing is counted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka.admin import KafkaAdminClient
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from pipeline.kafka import client_options
from tests.e2e.lab import Lab, Place, now_ns
from tests.e2e.rig import Rig
from tests.otlp import SECOND_NS, span, traces

DAY_NS = 86_400 * SECOND_NS
WORKFLOW = {"trueup.workflow": "replayed"}
STRICT = {"limits": {"oldest_days": 1}}
"""The cause: telemetry of two days ago is refused. Without it, it is taken."""

pytestmark = pytest.mark.every_broker


def message(n: int, *, bad: str = "", age_ns: int = 2 * DAY_NS) -> bytes:
    """A request of two spans: a good one, and one of two days ago; `bad`: and one that nothing mends."""
    now = now_ns()
    trace = f"{n:032x}"
    spans = [
        span({"trueup.task.id": f"good-{n}", "trueup.task.outcome": "success"}, at=now, traceId=trace, spanId="1" * 16),
        span(
            {"trueup.task.id": f"old-{n}", "trueup.task.outcome": "failure"},
            at=now - age_ns,
            traceId=trace,
            spanId="2" * 16,
        ),
    ]
    if bad:
        spans.append(span({"trueup.cost.usd": -1}, at=now, traceId=trace, spanId="3" * 16))
    return traces(*spans, resource=WORKFLOW)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, broker: str) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig"), STRICT, broker=broker) as rig:
        rig.start_worker()
        yield rig


@pytest.fixture(scope="module")
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:
        yield lab


@pytest.fixture(scope="module")
def places(lab: Lab) -> list[Place]:
    """Where two messages are whose old spans became dead letters; the second has one that nothing mends."""
    places = [lab.spans(message(1)), lab.spans(message(2, bad="cost")), lab.spans(b"\xff garbage")]
    lab.land(*places)
    return places


@pytest.fixture
def trueup(rig: Rig, tmp_path: Path) -> Any:
    """Runs the command with the rig's configuration."""
    config = tmp_path / "trueup.yaml"
    config.write_text(yaml.safe_dump(rig.settings.model_dump(mode="json", exclude_none=True)))

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["deadletter", *words, "--config", str(config)], catch_exceptions=False)

    return run


def letters(result: Result) -> list[dict[str, Any]]:
    return list(json.loads(result.stdout)["dead_letters"])


def position(place: Place, index: int | None = None) -> str:
    return "/".join(map(str, (*place, *(() if index is None else (index,)))))


def test_a_list_gives_positions_that_show_takes(places: list[Place], trueup: Any) -> None:
    listed = {row["position"] for row in letters(trueup("list", "--output", "json"))}
    assert listed == {
        position(places[0], 1), position(places[1], 1), position(places[1], 2), position(places[2], -1)
    }  # fmt: skip
    for each in listed:
        assert letters(trueup("show", each, "--output", "json"))[0]["position"] == each


def test_show_says_why_what_and_how_to_mend_it(places: list[Place], trueup: Any) -> None:
    shown = trueup("show", position(places[0])).stdout
    assert "time_out_of_range: it happened too long before" in shown
    assert "raise limits.oldest_days" in shown
    assert f"trueup deadletter replay {position(places[0], 1)}" in shown
    assert '"span_id": "2222222222222222"' in shown  # the record is readable, without its content
    assert "old-1" in shown
    assert '"name": "<str of 4>"' in shown


def test_a_payload_that_is_no_record_is_shown_as_text(places: list[Place], trueup: Any) -> None:
    (letter,) = letters(trueup("show", position(places[2]), "--output", "json"))
    assert letter["payload"] == "x xxxxxxx"


def test_a_position_that_is_none_or_has_no_dead_letter_is_an_error(places: list[Place], trueup: Any) -> None:
    wrong = trueup("show", "otlp_spans")
    assert (wrong.exit_code, "TOPIC/PARTITION/OFFSET" in wrong.stderr) == (2, True)
    nothing = trueup("show", "otlp_spans/0/99999")
    assert (nothing.exit_code, "there is no dead letter at" in nothing.stderr) == (1, True)
    assert trueup("replay").exit_code == 2


def test_a_dry_run_sends_nothing(places: list[Place], lab: Lab, trueup: Any) -> None:
    result = trueup("replay", "--reason", "time_out_of_range", "--dry-run", "--output", "json")
    assert result.exit_code == 0
    assert {row["result"] for row in letters(result)} == {"there"}
    assert len(letters(trueup("list", "--output", "json"))) == 4


def test_what_is_not_mended_stays_the_same_dead_letter_however_often_it_is_replayed(
    places: list[Place], trueup: Any
) -> None:
    for _ in range(2):
        result = trueup("replay", "--reason", "time_out_of_range", "--output", "json")
        assert result.exit_code == 1
        assert [row["result"] for row in letters(result)] == ["open", "open"]
    listed = letters(trueup("list", "--all", "--output", "json"))
    assert len(listed) == 4
    assert {row["position"]: row["replayed"] is not None for row in listed}[position(places[0], 1)]


def test_once_the_cause_is_mended_they_land_and_are_resolved(
    places: list[Place], rig: Rig, lab: Lab, trueup: Any
) -> None:
    rig.stop_workers()
    rig.start_worker({"limits": {"oldest_days": 400}})
    before = lab.audit()
    for _ in range(2):  # by position again what is resolved already: nothing changes
        for place, states in ((places[0], ["resolved"]), (places[1], ["resolved", "open"])):
            result = trueup("replay", position(place), "--output", "json")
            assert [row["result"] for row in letters(result)] == states
            assert result.exit_code == (1 if "open" in states else 0)
    for n in (1, 2):
        assert [lab.task(f"{kind}-{n}")["events"] for kind in ("good", "old")] == [1, 1]
    (old,) = [row["position"] for row in letters(trueup("list", "--output", "json")) if "/2" in row["position"][-2:]]
    assert old == position(places[1], 2)
    after = lab.audit()
    assert (after.total, after.skipped) == (0, 0)
    assert after.events == before.events + 2
    assert after.dead_letters == before.dead_letters == 4


def test_one_that_nobody_will_mend_is_discarded_and_told_so(places: list[Place], lab: Lab, trueup: Any) -> None:
    garbage = lab.spans(b"\xff more garbage")
    lab.land(garbage)
    before = len(letters(trueup("list", "--output", "json")))
    words = ("discard", position(garbage), "--by", "ada", "--why", "sent by hand", "--output", "json")
    done = trueup(*words)
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"discarded": [{"reason": "not_otlp", "discarded": 1}]})
    assert trueup(*words).exit_code == 1
    assert len(letters(trueup("list", "--output", "json"))) == before - 1
    assert "by ada: sent by hand" in trueup("show", position(garbage)).stdout
    (kept,) = [row for row in letters(trueup("list", "--all", "--output", "json")) if row["state"] == "discarded"]
    assert kept["position"] == position(garbage, -1)


def test_one_that_kafka_has_no_more_is_said_to_be_gone(rig: Rig, lab: Lab, trueup: Any) -> None:
    """The topic is made anew, with other messages at its offsets, and with none."""
    places = [lab.spans(message(n, bad="cost")) for n in (11, 12)]
    lab.land(*places)
    rig.stop_workers()
    admin = KafkaAdminClient(**client_options(rig.settings))
    admin.delete_topics([rig.settings.kafka.spans_topic])
    admin.close()
    result = trueup("replay", position(places[0]), "--output", "json")
    assert result.exit_code == 1
    (letter, *_) = letters(result)
    assert letter["result"] == "not sent"
    assert "has no partition" in letter["detail"]
