"""From any OpenTelemetry convention to canonical events: a table, and the one reader of it."""
