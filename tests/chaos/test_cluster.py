"""Workers reach every broker through its proxy only; everybody else reaches the brokers directly."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from chaos.cluster import Cluster
from chaos.proxy import Network
from deploy.kafka import distribution

pytestmark = pytest.mark.e2e
TOPIC = "through"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := distribution.missing():
        pytest.skip(reason)
    with Network() as network, Cluster(1, network) as cluster:
        admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        admin.create_topics([NewTopic(TOPIC, 1, 1)])
        admin.close()
        yield cluster


def passed(cluster: Cluster) -> int:
    return sum(proxy.sent for proxy in cluster.proxies.values())


def send(bootstrap: str, payload: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(TOPIC, payload).get(30)
    producer.close()


def test_a_worker_s_connections_all_go_through_the_proxies(cluster: Cluster) -> None:
    before = passed(cluster)
    send(cluster.proxied, b"x" * 100_000)
    assert passed(cluster) - before > 100_000


def test_other_connections_do_not(cluster: Cluster) -> None:
    before = passed(cluster)
    send(cluster.bootstrap, b"x" * 100_000)
    assert passed(cluster) == before


def test_a_client_whose_connections_are_cut_goes_on(cluster: Cluster) -> None:
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=cluster.proxied, auto_offset_reset="earliest")
    try:
        send(cluster.bootstrap, b"before")
        while b"before" not in _values(consumer):
            pass
        cluster.proxies[1].cut()
        send(cluster.bootstrap, b"after")
        while b"after" not in _values(consumer):
            pass
    finally:
        consumer.close()


def _values(consumer: KafkaConsumer) -> list[bytes]:
    found = consumer.poll(timeout_ms=30_000)
    assert found, "nothing came for 30 s"
    return [record.value for records in found.values() for record in records]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_was_ended_stays_away_until_it_is_started_and_has_its_log(cluster: Cluster, end: str) -> None:
    send(cluster.bootstrap, end.encode())
    deaths = cluster.deaths
    getattr(cluster, end)(1)
    assert not cluster.whole
    cluster.restart(1)
    assert cluster.whole
    assert cluster.deaths == deaths
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=cluster.proxied, auto_offset_reset="earliest")
    try:
        while end.encode() not in _values(consumer):
            pass
    finally:
        consumer.close()


def test_a_broker_that_ends_though_nobody_told_it_to_is_started_again(cluster: Cluster) -> None:
    send(cluster.bootstrap, b"before its end")
    deaths = cluster.deaths
    pid = cluster._kafka.pid(1)
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    send(cluster.bootstrap, b"after its end")
    assert cluster.deaths == deaths + 1
    assert cluster.whole


def test_a_broker_that_starts_is_neither_ended_nor_started_a_second_time(cluster: Cluster) -> None:
    """Two processes on one metadata log: one of them found it broken, and the other had its port."""
    cluster.kill(1)
    deaths = cluster.deaths
    with ThreadPoolExecutor(1) as threads:
        restarted = threads.submit(cluster.restart, 1)
        while cluster._kafka.pid(1) is None:
            assert not restarted.done()
        cluster.restart(1)
        restarted.result(0)
    assert cluster.deaths == deaths
