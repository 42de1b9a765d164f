"""The settings of a local broker: combined broker and controller (KRaft), on loopback, quick to start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.credentials import MECHANISM, Credentials

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Node:
    """One broker of the cluster: its id (from 1), its ports on loopback, its folder."""

    id: int
    client_port: int
    broker_port: int
    controller_port: int
    directory: Path

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.client_port}"


def broker_properties(
    node: Node, cluster: Sequence[Node], settings: Mapping[str, str | int], credentials: Credentials | None
) -> str:
    """The text of server.properties; `settings` win over what is set here."""
    copies = min(3, len(cluster))
    properties: dict[str, str | int] = {
        "node.id": node.id,
        "log.dirs": node.directory / "data",  # type: ignore[dict-item]
        **_listeners(node, cluster),
        **_replication(copies),
        **_small_and_quick(),
        **({} if credentials is None else _security(credentials)),
        **settings,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _listeners(node: Node, cluster: Sequence[Node]) -> dict[str, str | int]:
    ports = {"CLIENT": node.client_port, "BROKER": node.broker_port, "CONTROLLER": node.controller_port}
    addresses = {name: f"{name}://{HOST}:{port}" for name, port in ports.items()}
    return {
        "process.roles": "broker,controller",
        "controller.quorum.voters": ",".join(f"{peer.id}@{HOST}:{peer.controller_port}" for peer in cluster),
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": f"{addresses['CLIENT']},{addresses['BROKER']}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }


def _replication(copies: int) -> dict[str, str | int]:
    in_sync = max(1, copies - 1)
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _small_and_quick() -> dict[str, str | int]:
    return {
        # The number of partitions is part of the design: a topic that nobody created is a mistake.
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        # A group forms, and a dead member or broker is noticed, in a test's time.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 500,
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3000,
    }


def _security(credentials: Credentials) -> dict[str, str | int]:
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": MECHANISM,
        f"listener.name.client.{MECHANISM.lower()}.sasl.jaas.config": login,
        "listener.name.client.ssl.keystore.type": "PKCS12",
        "listener.name.client.ssl.keystore.location": str(credentials.keystore),
        "listener.name.client.ssl.keystore.password": credentials.keystore_password,
    }
