#!/bin/bash
# Creates the topics of Trueup that are missing: create-topics.sh BOOTSTRAP
# TRUEUP_KAFKA__PARTITIONS is the worker's setting too: the two must agree, and it must not change later.
set -euo pipefail

topics=${KAFKA_TOPICS_COMMAND:-/opt/kafka/bin/kafka-topics.sh}
bootstrap=$1
partitions=${TRUEUP_KAFKA__PARTITIONS:?set it to what the worker has}
replication=${TRUEUP_KAFKA__REPLICATION:-1}

create() {
  "$topics" --bootstrap-server "$bootstrap" --create --if-not-exists --topic "$1" --partitions "$2" \
    --replication-factor "$replication" --config "retention.ms=$3"
}

week=604800000
create otlp_spans "$partitions" $week
create otlp_logs "$partitions" $week
create agent.actions "$partitions" $week
create agent.deadletter 1 $week
