"""What is shown where there is no terminal: a line now and then."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.demo.watch import View, clock

INTERVAL = 5.0


class Lines:
    """Writes notes as they come, and the state of things every five seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told = 0
        self._next = INTERVAL

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def show(self, view: View, elapsed: float) -> None:
        """Write what is new."""
        for note in view.notes[self._told :]:
            self._write(f"{clock(note.at):>5}  {note.text}")
        self._told = len(view.notes)
        if elapsed >= self._next:
            self._next += INTERVAL
            self._write(f"{clock(elapsed):>5}  {state(view)}")


def state(view: View) -> str:
    """The state of things in a line."""
    if view.away:
        return f"ClickHouse does not answer ({view.away})"
    now = view.now
    lag = "-" if now.lag is None else f"{max(0.0, now.lag):.1f} s"
    return (
        f"{now.total('tasks_finished')} tasks finished, {now.total('claimed_success')} claimed success; "
        f"{now.total('verdict_known')} verified, {now.total('discrepancies')} discrepancies; "
        f"{view.events_per_second:.0f} events/s, lag {lag}, dead letters {now.dead_letters}"
    )
