-- How many records are dead letters: each once, however often it was written.
SELECT sum(records) FROM dead_letter_rows FINAL
