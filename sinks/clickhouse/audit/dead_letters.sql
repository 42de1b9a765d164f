-- How many dead letters there are: each once, however often it was written.
SELECT uniqExact(topic, partition, offset, index) FROM dead_letter_rows
