"""ClickHouse: migrations, the store that the fold writes to, and the reads of reports and audits."""
