"""A dead letter's payload without its content: the shape that tells what is wrong, and no words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

_MASK = bytes(ord("x") if chr(b).isalpha() or b >= 0x80 else ord("0") if chr(b).isdigit() else b for b in range(256))

_TELLING = frozenset({"trace_id", "span_id", "parent_id", "start_ns", "end_ns", "time_ns", "event_name", "failed"})
_OWN = ("trueup.", "gen_ai.operation.name", "gen_ai.evaluation.name", "service.name")
_TEXT = 200
_DEPTH = 20


def redact_bytes(payload: bytes) -> bytes:
    """Bytes of unknown kind: every letter becomes x, every digit 0; length and punctuation stay."""
    return payload.translate(_MASK)


def redact_record(record: Any, *, keep: bool) -> bytes:
    """A decoded record as JSON. Ids, times and the contract's own attributes stay; of others, type and size."""
    plain = msgspec.to_builtins(record, enc_hook=repr) if not isinstance(record, dict) else record
    if keep:
        with suppress(RecursionError):
            return msgspec.json.encode(plain, enc_hook=repr)
    return msgspec.json.encode(_shape(plain, "", _DEPTH), enc_hook=repr)


def _shape(value: Any, key: str, depth: int) -> Any:
    if key in _TELLING or key.startswith(_OWN):
        return value[:_TEXT] if isinstance(value, str) else value if isinstance(value, int | float) else _size(value)
    if isinstance(value, dict) and depth:
        return {str(k)[:_TEXT]: _shape(v, str(k), depth - 1) for k, v in list(value.items())[:200]}
    if isinstance(value, list | tuple) and depth:
        return [_shape(v, "", depth - 1) for v in list(value)[:200]]
    return _size(value)


def _size(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | bytes):
        return f"<{type(value).__name__} of {len(value)}>"
    return f"<{type(value).__name__}>"
