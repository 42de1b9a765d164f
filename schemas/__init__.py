"""The contract: what agents emit, what travels on `agent.actions`, what lands in ClickHouse. No I/O."""
