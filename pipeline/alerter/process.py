"""The process: evaluates every few seconds, and lets nothing that is slow delay that.

Three threads. The loop evaluates and stores. Delivery reads what is stored and offers it to the notifier, whose
receivers have threads of their own. Health looks at Kafka, ClickHouse and the audit.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import structlog
from clickhouse_connect.driver.client import Client

from pipeline.alerter.advance import Subject
from pipeline.alerter.compose import Composer
from pipeline.alerter.counts import LandedCounts
from pipeline.alerter.delivery import Delivery, Patience
from pipeline.alerter.engine import Engine, Policy, Ticked
from pipeline.alerter.health import arrivals, audited, checks, evaluated, taken_until
from pipeline.alerter.in_force import StoredObjectives
from pipeline.alerter.outage import Outage
from pipeline.alerter.telling import Telling
from pipeline.alerter.watch import Watch
from pipeline.config import Settings
from pipeline.connections import client_of
from pipeline.doctor import examine
from pipeline.health import serve_health
from pipeline.notify.build import notifier_of
from pipeline.notify.notification import Notification
from pipeline.notify.notifier import Notifier
from pipeline.notify.receipt import Receipt
from pipeline.notify.turns import Turns
from pipeline.objectives.read import retention_of
from pipeline.section import ConfigError
from pipeline.slo.alert import Freezing
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.counting import told_tasks
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.objectives import TransitionRow
from sinks.port import Barred, Refused, Transient

log = structlog.get_logger()

Clock = Callable[[], float]
"""Seconds since the epoch."""

ANSWER_SECONDS = 10.0
"""How long the first evaluation waits for Kafka to say what waits there."""


class Alerter:
    """`Alerter(settings).run(stop)` works until `stop` is set. `clock`: seconds since the epoch."""

    def __init__(self, settings: Settings, clock: Clock = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._connection = Connection(self._client)
        self._outage = Outage(settings.alerter)
        self._parts: Parts | None = None

    def _client(self) -> Client:
        """With the password as it is now. An unreadable file, later, is one that is being changed."""
        try:
            return client_of(self._settings)
        except ConfigError as error:
            if self._parts is None:
                raise
            raise Transient(str(error)) from None

    def run(self, stop: threading.Event) -> None:
        """Evaluate until told to stop. While ClickHouse is away nothing is lost: it goes on when it is back."""
        http = self._settings.http.model_copy(update={"port": self._settings.alerter.port})
        replica = f"{socket.gethostname()}:{http.port}"  # stays the same after a restart
        turns = Turns(ClickHouseObjectives(self._connection), replica)
        with notifier_of(self._settings, self._receipt, turns) as notifier, ExitStack() as served:
            self._telling = Telling(notifier.tallies)
            port = served.enter_context(serve_health(self._telling, http, "alerter.port"))
            log.info("listening", port=port)
            while not stop.is_set():
                started = time.monotonic()
                behind = self._attempt(notifier, stop)
                if not behind:
                    stop.wait(max(self._settings.alerter.every - (time.monotonic() - started), 0))
            if self._parts is not None:
                self._parts.end()
        if self._parts is not None:  # closing the notifier brought the last of them
            self._parts.store_receipts()

    def _attempt(self, notifier: Notifier, stop: threading.Event) -> bool:
        """One evaluation; whether there are minutes to catch up with."""
        now = int(self._clock()) // 60
        try:
            if self._parts is None:
                with self._connection.client():
                    log.info("evaluating", clickhouse=self._settings.clickhouse.url)
                self._parts = Parts(self._settings, self._connection, notifier, self._clock, stop)
                self._parts.measure()
            ticked = self._parts.tick(now)
            self._parts.start()
            self._telling.ticked(ticked)
            behind = ticked.behind
        except Transient as error:
            self._telling.failed(str(error))
            fix = error.fix if isinstance(error, Barred) else "is ClickHouse up?"
            log.warning("cannot evaluate", error=str(error), fix=f"{fix} Nothing is lost, and no restart is needed")
            told = self._outage.failed(error, now)
            behind = False
        else:
            told = self._outage.ended(now, self._parts.stored)
        if told is not None:
            notifier.offer(told)
        return behind

    def _receipt(self, receipt: Receipt) -> None:
        """From the receivers' threads. Receipts of an outage are of nothing that is stored."""
        if not receipt.ok:
            log.warning("not delivered", receiver=receipt.receiver, error=receipt.error, attempts=receipt.attempts)
        if self._parts is not None:
            self._parts.delivery.receipt(receipt)


class Parts:
    """What works with ClickHouse, once it has answered. Raises Transient if it does not."""

    def __init__(
        self, settings: Settings, connection: Connection, notifier: Notifier, clock: Clock, stop: threading.Event
    ) -> None:
        limits = settings.alerter
        store = ClickHouseObjectives(connection)
        self._settings, self._connection, self._clock, self._stop = settings, connection, clock, stop
        self._in_force = StoredObjectives(store, retention_of(settings))
        self._counts = LandedCounts(connection, store, settings.kafka.epoch, settings.kafka.partitions)
        policy = Policy(Freezing(max_behind=limits.freeze_after // 60), limits.catch_up // 60)
        self.stored = max((row.evaluated for row in store.states().values()), default=None)
        self._engine = Engine(store, self._in_force, self._counts, policy)
        self._watch = Watch(store)
        self._failed: Mapping[Subject, Exception] | None = None
        self._composer = Composer(limits, self._tasks, frozenset(each.name for each in settings.notify.receivers))
        patience = Patience(limits.repeat_for // 60, max(limits.retry_after // 60, 1))
        self.delivery = Delivery(store, notifier, self._compose, patience)
        self._news = threading.Event()
        self._news.set()
        self._measured = threading.Event()
        self._delivering = threading.Thread(target=self._deliver, name="delivery", daemon=True)

    def measure(self) -> None:
        """Begin to measure; returns once Kafka has said what waits there, or does not answer."""
        threading.Thread(target=self._measure, name="health", daemon=True).start()
        self._measured.wait(ANSWER_SECONDS)

    def start(self) -> None:
        """Begin to deliver, once the objectives are known. Again: nothing happens."""
        if self._delivering.ident is None:
            self._delivering.start()

    def tick(self, now: int) -> Ticked:
        """Evaluate objectives and the pipeline. Raises Transient."""
        ticked = self._engine.tick(now)
        for each in ticked.failed.keys() - (self._failed or {}).keys():
            error, fix = ticked.failed[each], "report it: this is a defect. The others are evaluated"
            log.error("cannot evaluate", workflow=each.workflow, slo=each.slo, fix=fix, exc_info=error)
        self._failed = ticked.failed
        for line in ticked.transitions:
            log.info("alert", key=line.key, workflow=line.workflow, slo=line.slo, change=line.change)
        if self._watch.tick(now) or ticked.transitions:
            self._news.set()
        return ticked

    def end(self) -> None:
        """End delivery; the threads know that it is time."""
        self._news.set()
        if self._delivering.ident is not None:
            self._delivering.join(5)

    def store_receipts(self) -> None:
        """Write down what receivers said last."""
        with _logged("storing receipts"):
            self.delivery.store_receipts(self._minute)

    @property
    def _minute(self) -> int:
        return int(self._clock()) // 60

    def _compose(self, line: TransitionRow) -> Notification:
        return self._composer.compose(line, self._in_force.known(line.key))

    def _tasks(self, workflow: str, since: int, most: int) -> list[bytes]:
        with self._connection.client() as client:
            return told_tasks(client, workflow, since, most)

    def _deliver(self) -> None:
        """Until told to stop: at once when something happened, else now and then, for receipts and repetitions."""
        while not self._stop.is_set():
            self._news.wait(self._settings.alerter.every)
            self._news.clear()
            with _logged("delivery"):
                self.delivery.run(self._minute)

    def _measure(self) -> None:
        """Until told to stop."""
        audited_at = -float(self._settings.alerter.audit_every)
        while not self._stop.is_set():
            now = int(self._clock())
            if self._failed is not None:
                self._watch.take(evaluated(self._failed))
            with _logged("health"):
                examined = examine(self._settings, self._clock, advice=False)
                self._counts.taken_until = taken_until(examined, self._settings, now, self._counts.taken_until)
                self._measured.set()
                self._watch.take(checks(examined))
                with self._connection.client() as client:
                    self._watch.take(arrivals(client, self._settings, now))
            if time.monotonic() - audited_at >= self._settings.alerter.audit_every:
                with _logged("audit"), self._connection.client() as client:
                    self._watch.take(audited(client, self._settings, now))
                audited_at = time.monotonic()
            self._stop.wait(self._settings.alerter.health_every)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """What fails for a while is told in the log, and tried again; a defect ends the process, so that it is seen."""
    try:
        yield
    except (Transient, Refused, ConfigError) as error:  # ConfigError: a secret's file that is being changed
        log.warning(f"{what} failed", error=str(error))
    except Exception:
        log.exception(f"{what} failed")
        os._exit(70)
