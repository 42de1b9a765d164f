"""A dead letter's payload without its content: the shape that tells what is wrong, and no words but closed ones."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from schemas.described import NAME_LENGTH, is_hexadecimal, is_name
from schemas.mapping.table import KINDS
from schemas.words import CostCategory, Intervention, Outcome, Stage, Verdict

_MASK = bytes(ord("x") if chr(b).isalpha() or b >= 0x80 else ord("0") if chr(b).isdigit() else b for b in range(256))

_NUMBERS = ("start_ns", "end_ns", "time_ns", "failed", "trueup.", "gen_ai.evaluation.")
"""How the keys begin whose numbers are kept."""
_HEXADECIMAL = frozenset({"trace_id", "span_id", "parent_id"})
_NAMES = frozenset({
    "event_name", "trueup.task.id", "trueup.event.id", "trueup.workflow", "trueup.tenant", "service.name",
    "gen_ai.evaluation.name",
})  # fmt: skip
_WORDED = ("trueup.", "gen_ai.evaluation.", "gen_ai.operation.name")
_WORDS = frozenset[str]({*Stage, *Outcome, *Verdict, *Intervention, *CostCategory, *(row.value for row in KINDS)})
_ITEMS = 200
_DEPTH = 20


def redact_bytes(payload: bytes) -> bytes:
    """Bytes of unknown kind: every letter becomes x, every digit 0; length and punctuation stay."""
    return payload.translate(_MASK)


def redact_record(record: Any, *, keep: bool) -> bytes:
    """A decoded record as JSON. Ids, times, and the contract's own numbers and words stay; of others, type and size."""
    plain = (
        msgspec.to_builtins(record, builtin_types=(bytes,), enc_hook=repr) if not isinstance(record, dict) else record
    )
    if keep:
        with suppress(RecursionError):
            return msgspec.json.encode(plain, enc_hook=repr)
    return msgspec.json.encode(_shape(plain, "", _DEPTH), enc_hook=repr)


def _shape(value: Any, key: str, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        inner = 0 if key == "attributes" else depth - 1  # what is within an attribute is content, its keys too
        return {_key(str(k)): _shape(v, str(k), inner) for k, v in list(value.items())[:_ITEMS]}
    if isinstance(value, list | tuple) and depth:
        return [_shape(v, "", depth - 1) for v in list(value)[:_ITEMS]]
    if isinstance(value, str):
        return value[:NAME_LENGTH] if _tells(key, value) else _size(value)
    return value if isinstance(value, int | float) and key.startswith(_NUMBERS) else _size(value)


def _tells(key: str, text: str) -> bool:
    """Whether a text is an id, or one of our words, where one belongs."""
    if key in _HEXADECIMAL:
        return is_hexadecimal(text)
    return is_name(text) if key in _NAMES else text in _WORDS and key.startswith(_WORDED)


def _key(key: str) -> str:
    return key if is_name(key) else _size(key)


def _size(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    size = f" of {len(value)}" if isinstance(value, str | bytes | list | tuple | dict) else ""
    return f"<{type(value).__name__}{size}>"
