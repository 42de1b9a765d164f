"""What was measured, as a table for people and a document for programs."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.fold import Result
from bench.latency import Latency
from bench.load import Assigned
from bench.plain import Plain

MIB = 2**20

Measured = Result | Plain | Latency | Assigned


@dataclass
class Report:
    """Results of one run, by the benchmark: those of the fold and of the plain application as they took turns."""

    seed: int
    open_tasks: int
    machine: dict[str, str | int | float]
    load_average: list[float] = field(default_factory=list)
    """Of one minute, before the first benchmark and after each. Above 1 at first: other work took part of the CPU."""
    fold: list[Result] = field(default_factory=list)
    plain: list[Plain] = field(default_factory=list)
    hops: list[Result] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    assign: list[Assigned] = field(default_factory=list)

    def add(self, name: str, result: Measured) -> None:
        """Note a result of a benchmark."""
        getattr(self, name).append(result)

    @property
    def audited(self) -> list[Result]:
        """Those after which the rows were compared with the raw events."""
        return [*self.fold, *self.hops]

    @property
    def ratios(self) -> list[float]:
        """Events per second of Trueup's fold over those of the plain application, turn by turn."""
        turns = zip(self.fold, self.plain, strict=False)
        return [round(fold.per_second / plain.per_second, 1) for fold, plain in turns]

    @property
    def ratio(self) -> float | None:
        """The median of them; None without both."""
        return round(median(self.ratios), 1) if self.ratios else None

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "ratios": self.ratios, "ratio": self.ratio}

    def lines(self) -> list[str]:
        """For people."""
        told = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        lines = [told, f"seed {self.seed}, {self.open_tasks} tasks open at a time, load {self.load_average}", ""]
        for result in self.fold:
            lines += _throughput("fold: agent.actions -> rows, one worker", result)
        for plain in self.plain:
            lines += [
                _row("plain Faust application, three windowed tables", f"{plain.per_second:,} events/s"),
                _row("  CPU per million events", _cpu(plain.cpu_per_million)),
            ]
        if self.ratio is not None:
            lines += [
                _row("fold / plain, median", f"{self.ratio}x"),
                _row("  turn by turn", ", ".join(f"{ratio}x" for ratio in self.ratios)),
            ]
        for result in self.hops:
            lines += _throughput("both hops: OTLP spans -> rows, one worker", result)
        for latency in self.latency:
            lines += _latency(latency)
        for assigned in self.assign:
            lines += _assign(assigned)
        return lines


def machine() -> dict[str, str | int | float]:
    """What it was measured on, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory / 2**30, 1),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_model() -> str:
    told = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return told[0].partition(":")[2].strip() if told else platform.machine()


def _throughput(name: str, result: Result) -> list[str]:
    return [
        _row(name, f"{result.per_second:,} events/s"),
        _row("  events, seconds", f"{result.events:,} in {result.seconds} s"),
        _row("  events a message of agent.actions, on average", f"{result.events_per_message:,}"),
        _row("  CPU per million events", _cpu(result.cpu_per_million)),
        _row("  worker's peak memory", f"{result.worker_peak_bytes // MIB:,} MiB"),
        _row("  landed, audit differences", f"{result.landed:,}, {result.audit_differences}"),
    ]


def _latency(result: Latency) -> list[str]:
    at = f"produced -> queryable, {result.spans_per_second:,} spans/s for {result.seconds:.0f} s"
    waited = f"{result.p50_ms} ms, {result.p99_ms} ms, {result.longest_ms} ms"
    return [_row(at, f"{result.tasks} tasks"), _row("  p50, p99, longest", waited)]


def _assign(result: Assigned) -> list[str]:
    parts = f"{result.answers_s} s, {result.decoding_s} s"
    memory = f"{result.bytes_per_task:,} B, {result.peak_bytes // MIB:,} MiB"
    return [
        _row(f"assignment of {result.partitions} partitions, {result.open_tasks:,} open tasks", f"{result.seconds} s"),
        _row("  the slowest partition", f"{result.slowest_partition_s} s"),
        _row("  of it all, ClickHouse's answers, their decoding", parts),
        _row("  CPU of the process", f"{result.cpu_s} s"),
        _row("  memory per open task, peak of the process", memory),
    ]


def _cpu(per_million: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds} s" for name, seconds in per_million.items())


def _row(name: str, value: str) -> str:
    return f"{name:58} {value}"
