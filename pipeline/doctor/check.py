"""What a check of the doctor says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    finding: str
    fix: str = ""
    oldest: float = 0.0
    """Of the lag of a topic: for how many seconds the oldest message has waited."""

    @property
    def mark(self) -> str:
        """`note`: nothing is down, and yet there is something to do."""
        if not self.ok:
            return "!!"
        return "note" if self.fix else "ok"


def judged(name: str, ok: bool, finding: str, fix: str) -> Check:
    """A check that tells its fix only if it is needed."""
    return Check(name, ok, finding, "" if ok else fix)
