"""What any broker must do; run against the one in memory and a real Kafka."""
