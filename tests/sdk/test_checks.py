"""Checks of what the caller passed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trueup import checks
from trueup.attributes import Outcome
from trueup.checks import InvalidArgumentError


@given(st.integers(1975, 2200), st.integers(0, 366 * 86_400 * 10**6), st.integers(-12, 12))
def test_an_aware_datetime_is_its_nanoseconds_exactly(year: int, microseconds: int, hours: int) -> None:
    new_year = datetime(year, 1, 1, tzinfo=UTC)
    moment = (new_year + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(hours=hours)))
    expected = int(new_year.timestamp()) * 10**9 + microseconds * 1000
    assert checks.nanoseconds(moment, "at") == expected


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(datetime.fromisoformat("2025-11-01"), id="no time zone"),
        pytest.param(1_763_769_600, id="seconds"),
        pytest.param(1_763_769_600_000, id="milliseconds"),
        pytest.param(1_763_769_600_000_000, id="microseconds"),
        pytest.param(2**63, id="more than OTLP holds"),
        pytest.param("2025-11-01", id="text"),
        pytest.param(True, id="bool"),
        pytest.param(1e18, id="float"),
    ],
)
def test_a_time_that_could_mean_something_else_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^at is "):
        checks.nanoseconds(wrong, "at")


@pytest.mark.parametrize("good", [0, 1, 0.5, Decimal("0.25"), 1.0])
def test_numbers_of_every_kind_are_taken(good: float) -> None:
    assert checks.number(good, 0, 1, "share") == float(good)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), float("inf"), Decimal("NaN"), True, "0.5", None, 1j])
def test_what_is_no_number_of_the_range_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"share is .*; it must be a number from 0 to 1"):
        checks.number(wrong, 0, 1, "share")


def test_integers_and_uuids_are_written_out() -> None:
    identity = uuid.uuid4()
    assert checks.text(identity, "task_id") == str(identity)
    assert checks.text(4711, "task_id") == "4711"


@pytest.mark.parametrize("wrong", ["", "x" * 257, None, b"x", True, 1.5])
def test_a_name_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match="1 to 256 characters"):
        checks.text(wrong, "task_id")


def test_a_single_string_is_no_list_of_names() -> None:
    with pytest.raises(InvalidArgumentError, match="a list of names"):
        checks.texts("order_id", "present")
    assert checks.texts(["order_id", "date"], "present") == ("order_id", "date")


def test_words_are_taken_as_members_and_as_text() -> None:
    assert checks.one_of(Outcome, Outcome.GAVE_UP, "outcome") == "gave_up"
    assert checks.one_of(Outcome, "gave_up", "outcome") == "gave_up"
    with pytest.raises(InvalidArgumentError, match="it must be one of: success, failure, escalated, gave_up"):
        checks.one_of(Outcome, "done", "outcome")


def test_the_refusal_does_not_quote_a_whole_document() -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        checks.text("secret " * 1000, "task_id")
    assert len(str(refusal.value)) < 200


def test_only_a_boolean_is_a_flag() -> None:
    assert checks.flag(False, "complaint") is False
    with pytest.raises(InvalidArgumentError, match="True or False"):
        checks.flag(1, "complaint")
