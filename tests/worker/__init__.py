"""The worker, on the broker in memory and on a real Kafka."""
