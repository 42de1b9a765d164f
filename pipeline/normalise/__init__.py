"""Normalise: from OTLP messages to canonical events, packed for the partitions of their tasks."""
