"""Keeps exporters usable in a forked child: gunicorn and Celery fork after they imported the agent.

Threads do not survive a fork, locks do in whatever state they were: both must be made anew.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something with threads, locks or connections."""

    def forked(self) -> None:
        """Called in the child, before anything else runs there."""


_alive: weakref.WeakSet[Forkable] = weakref.WeakSet()


def survive_fork(something: Forkable) -> None:
    """Call its `forked` in every child that this process forks from now on, as long as it is alive."""
    _alive.add(something)


def _after_fork_in_child() -> None:
    for something in list(_alive):
        something.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
