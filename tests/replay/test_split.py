"""Splitting a request that is larger than a message may be: nothing lost, nothing twice, the order kept."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.replay.send import GROUPS, split

Item = tuple[str, str, int]
"""The resource, the scope and the number of a record."""


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests of either or both signals; each record has a number, and some have much text."""
    request: dict[str, Any] = {}
    number = 0
    for signal, (scopes, items) in GROUPS.items():
        groups = []
        for resource in range(draw(st.integers(0, 3))):
            kept = []
            for scope in range(draw(st.integers(0, 3))):
                records = []
                for size in draw(st.lists(st.integers(0, 60), max_size=6)):
                    records.append({"number": number, "text": "x" * size})
                    number += 1
                kept.append({"scope": {"name": f"scope {scope}"}, items: records})
            groups.append({"resource": {"name": f"resource {resource}"}, scopes: kept, "schemaUrl": "u"})
        if groups or draw(st.booleans()):
            request[signal] = groups
    return request


def items_of(request: dict[str, Any]) -> dict[str, list[Item]]:
    return {
        signal: [
            (group["resource"]["name"], scope["scope"]["name"], record["number"])
            for group in request.get(signal, ())
            for scope in group[scopes]
            for record in scope[items]
        ]
        for signal, (scopes, items) in GROUPS.items()
    }


@given(request=requests(), limit=st.integers(1, 1_500))
def test_the_pieces_hold_every_record_once_in_order_with_its_resource_and_scope(
    request: dict[str, Any], limit: int
) -> None:
    before = copy.deepcopy(request)
    pieces = list(split(request, limit))
    assert request == before
    found: dict[str, list[Item]] = {signal: [] for signal in GROUPS}
    for signal, payload, records in pieces:
        piece = json.loads(payload)
        assert list(piece) == [signal]
        mine = items_of(piece)[signal]
        assert len(mine) == records
        assert len(payload) <= limit or records <= 1
        assert all(group["schemaUrl"] == "u" for group in piece[signal])
        found[signal] += mine
    assert found == items_of(request)


@given(request=requests())
def test_a_request_that_fits_stays_whole(request: dict[str, Any]) -> None:
    told = {signal: groups for signal, groups in request.items() if groups}
    pieces = {signal: json.loads(payload) for signal, payload, _ in split(request, 10**6)}
    assert pieces == {signal: {signal: groups} for signal, groups in told.items()}


def test_a_large_request_becomes_few_messages() -> None:
    spans = [{"number": n, "text": "x" * 100} for n in range(4_000)]
    request = {"resourceSpans": [{"resource": {"name": "r"}, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}]}
    assert len(list(split(request, 100_000))) <= 8
