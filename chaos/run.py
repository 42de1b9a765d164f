"""One run: load and faults by the plan, then quiet, then the questions that every run must answer with zero."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from chaos import truth
from chaos.accounts import Accounts, dead_places, landed_hashes, settle
from chaos.faults import FAULTS, WorkerPaused
from chaos.lab import Lab, NotReady
from chaos.ledger import Ledger
from chaos.load import Load
from chaos.log import whole_log
from chaos.plan import OF, SETTLE, Kind, Planned, last_end, plan
from chaos.recovery import Recovered, Recovery
from pipeline.replay.land import Stalled, wait_until_landed
from sinks.clickhouse.audit import Audit, audit

Say = Callable[[str], None]
PATIENCE_SECONDS = 180.0
LEAST_DONE = 0.75
"""Share of the planned faults that must have been done, or the run says nothing."""
LEAST_PAUSED = 2
"""Of so many paused workers one must have written as a stale owner, or the run says nothing: that is what it is for."""


@dataclass(frozen=True)
class Options:
    """What a run is. The plan follows from the seed, the seconds and the number of brokers."""

    seed: int
    seconds: float
    brokers: int = 3
    workers: int = 2
    rate: int = 5_200
    """Canonical events a second."""
    spans: int = 400
    """OTLP spans a second beside them."""
    logs: Path | None = None
    """A folder that keeps the workers' logs."""


@dataclass
class Outcome:
    """What a run found."""

    options: Options
    plan: list[Planned]
    done: dict[Planned, str] = field(default_factory=dict)
    """Faults that began and ended -> what was harmed."""
    failed: list[str] = field(default_factory=list)
    """Faults that could not be done, and why. The run proves less then, but nothing is wrong with what it harms."""
    stale_writers: int = 0
    """Paused workers that wrote to ClickHouse after they woke, before they knew that they owned nothing."""
    recovered: list[Recovered] = field(default_factory=list)
    never_recovered: int = 0
    deaths: Counter[int] = field(default_factory=Counter)
    """Exit code -> workers that ended by themselves and were started again."""
    broker_deaths: int = 0
    """Brokers that ended by themselves, or did not get ready, and were started again."""
    load_seconds: float = 0.0
    refused: int = 0
    stalled: str = ""
    accounts: Accounts | None = None
    audit: Audit | None = None
    compared: truth.Compared | None = None
    not_sent_on: int = 0
    """Events of traces that did not come to their task."""

    @property
    def faults(self) -> Counter[Kind]:
        """How many of each kind were done."""
        return Counter(fault.kind for fault in self.done)

    @property
    def recovery_seconds(self) -> list[float]:
        """How long each recovery took."""
        return [one.seconds for one in self.recovered]

    @property
    def differences(self) -> int:
        """Everything that is wrong, rows that the audit had to skip in a quiet system included."""
        if self.accounts is None or self.audit is None or self.compared is None:
            raise RuntimeError("the run did not come to its end")
        found = self.audit.total + self.audit.skipped + self.compared.differences
        return found + self.not_sent_on + self.accounts.wrong

    @property
    def least(self) -> int:
        """So many faults must have been done for the run to say anything."""
        return math.ceil(LEAST_DONE * len(self.plan))

    @property
    def too_little(self) -> str:
        """Why the run says nothing, if it found nothing wrong; empty where enough was done."""
        if len(self.done) < self.least:
            return f"{len(self.done)} of {len(self.plan)} faults were done"
        if (paused := self.faults[Kind.WORKER_PAUSED]) >= LEAST_PAUSED and not self.stale_writers:
            return f"of {paused} paused workers none woke as a stale owner that wrote"
        return ""

    @property
    def decided(self) -> bool:
        """Whether enough was done for what was found to mean something; what is wrong is always something."""
        return not self.survived or not self.too_little

    @property
    def survived(self) -> bool:
        """Nothing was lost and nothing differs."""
        return not self.differences and not self.stalled


def run(options: Options, say: Say) -> Outcome:
    """Do it. What it raises says that it could not be done: of what was lost the outcome tells."""
    outcome = Outcome(options, plan(options.seed, options.seconds, options.brokers))
    with Lab(options.brokers, options.workers, options.logs) as lab, Recovery(lab.settings) as recovery:
        ledger = Ledger()
        load = Load(lab.settings, ledger, options.seed, options.rate, options.spans, options.seconds)
        say(f"brokers: {options.brokers}, workers: {options.workers}, events/s: {options.rate + options.spans:,}")
        load.start()
        _Director(lab, load, recovery, outcome, say).play(time.monotonic(), options.seconds)
        load.finish()
        outcome.load_seconds, outcome.refused = load.seconds, ledger.refused
        say(f"the load has ended: {ledger.sent:,} sent in {load.seconds:.0f} s; waiting until all has landed")
        _land(lab, ledger, outcome)
        outcome.recovered, outcome.never_recovered = recovery.recovered, recovery.outstanding
        outcome.deaths, outcome.broker_deaths = lab.supervisor.deaths, lab.cluster.deaths
        lab.supervisor.stop()
        _judge(lab, ledger, outcome, say)
    return outcome


def _land(lab: Lab, ledger: Ledger, outcome: Outcome) -> None:
    k = lab.settings.kafka
    try:
        wait_until_landed(
            lab.settings,
            ledger.reached((k.spans_topic, k.actions_topic)),
            end_of_time=True,
            patience=PATIENCE_SECONDS,
        )
    except Stalled as stalled:
        if not lab.cluster.whole:
            raise NotReady(
                "a broker did not come back, so not all could land; that is not Trueup's to answer"
            ) from None
        outcome.stalled = str(stalled)


def _judge(lab: Lab, ledger: Ledger, outcome: Outcome, say: Say) -> None:
    with ThreadPoolExecutor(1, "truth") as beside:
        say("truth: the same log, folded again without faults; beside it")
        folded = beside.submit(truth.fold_again, lab.settings, whole_log(lab.settings))
        say("audit: rows against raw events")
        outcome.audit = audit(lab.client, epoch=lab.settings.kafka.epoch)
        say("accounts: what was sent against what is there")
        outcome.accounts = settle(ledger, landed_hashes(lab.client), dead_places(lab.client))
        sent_on = folded.result()
    say("the rows of both against each other")
    outcome.compared = truth.compare(lab.client, lab.settings)
    outcome.not_sent_on = truth.lost_on_the_way(lab.client, sent_on)
    say("the same rows" if not outcome.differences else f"{outcome.differences} differences")


class _Director:
    """Does what the plan says, each fault in a thread of its own, so that those of different things can overlap.

    The plan cannot know how long a thing takes to come back: one that is still being mended, or has only just been, is
    not harmed again. A fault that would last into the quiet at the end then is left out.
    """

    def __init__(self, lab: Lab, load: Load, recovery: Recovery, outcome: Outcome, say: Say) -> None:
        self._lab, self._load, self._recovery, self._outcome, self._say = lab, load, recovery, outcome, say
        self._lock = threading.Lock()
        self._things = {thing: threading.Lock() for thing in OF.values()}
        self._never = threading.Event()

    def play(self, begun: float, seconds: float) -> None:
        """Return when every fault has ended and `seconds` have passed."""
        self._last = begun + last_end(seconds)
        acts = [threading.Thread(target=self._act, args=(begun, each), daemon=True) for each in self._outcome.plan]
        for act in acts:
            act.start()
        self._wait_until(begun + seconds)
        for act in acts:
            act.join()

    def _act(self, begun: float, planned: Planned) -> None:
        self._wait_until(begun + planned.at)
        with self._things[OF[planned.kind]]:
            try:
                self._do(planned)
            except Exception as error:  # noqa: BLE001 - the run goes on, and tells
                self._say(f"{planned.kind}: not done: {error}")
                with self._lock:
                    self._outcome.failed.append(f"{planned.kind} at {planned.at:.1f} s: {error!r}")
            self._wait_until(time.monotonic() + SETTLE)

    def _do(self, planned: Planned) -> None:
        if time.monotonic() + planned.seconds > self._last + SETTLE:
            raise NotReady("what it harms was being mended until too late")
        fault = FAULTS[planned.kind](self._lab, planned, self._load)
        harmed = fault.begin()
        self._say(f"{planned.kind}: {harmed}, for {planned.seconds:.1f} s")
        try:
            self._wait_until(time.monotonic() + planned.seconds)
        finally:
            fault.end()
        k = self._lab.settings.kafka
        self._recovery.fault_ended(planned, self._load.ledger.reached((k.spans_topic, k.actions_topic)))
        with self._lock:
            self._outcome.done[planned] = harmed
            if isinstance(fault, WorkerPaused):
                self._outcome.stale_writers += fault.woke_as_stale_writer

    def _wait_until(self, moment: float) -> None:
        self._never.wait(max(0.0, moment - time.monotonic()))
