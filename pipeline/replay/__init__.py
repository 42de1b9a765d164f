"""Replay: OTLP/JSON lines from files to Kafka, and the wait until they have landed."""
