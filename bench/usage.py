"""What a process of the local stack has used, from Linux's /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds by process name, at one moment."""

    cpu: dict[str, float]

    def since(self, before: Usage) -> dict[str, float]:
        """CPU seconds from `before` until now."""
        return {name: round(seconds - before.cpu[name], 2) for name, seconds in self.cpu.items()}


class Processes:
    """Named processes; each is the program that a keeper (`deploy.local.keeper`) runs."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}

    def add(self, name: str, keeper: int) -> None:
        """Watch the program of a keeper, which must have started it."""
        self._pids[name] = _child(keeper)

    def usage(self) -> Usage:
        """CPU seconds used so far."""
        return Usage({name: _cpu(pid) for name, pid in self._pids.items()})

    def peak_memory(self, name: str) -> int:
        """The most bytes that a process has had in memory (VmHWM)."""
        for line in Path(f"/proc/{self._pids[name]}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"the kernel tells no VmHWM of {name}; the benchmarks need Linux")


def _child(keeper: int) -> int:
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    if not children:
        raise RuntimeError(f"process {keeper} has started no program yet; wait until it is ready")
    return int(children[0])


def _cpu(pid: int) -> float:
    """CPU seconds of all threads, user and system."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS
