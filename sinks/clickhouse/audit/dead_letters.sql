-- How many dead letters there are of messages with these Kafka timestamps (microseconds).
SELECT uniqExact(topic, partition, offset, index)
FROM dead_letter_rows
WHERE received >= {start:Int64} AND received < {until:Int64}
