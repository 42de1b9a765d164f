"""A seeded chaos run: Trueup on real Apache Kafka, under load, while it is harmed at random. See `python -m chaos`."""
