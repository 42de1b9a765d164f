-- An owner that starts asks for rows beyond a place of the log, and for what is open: parts and granules without any
-- need not be read. Both questions are about rows of any age, so they come before FINAL.
ALTER TABLE task_rows
    ADD INDEX IF NOT EXISTS by_seq seq TYPE minmax GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_status status TYPE set(4) GRANULARITY 1;

ALTER TABLE window_rows
    ADD INDEX IF NOT EXISTS by_seq seq TYPE minmax GRANULARITY 1;
