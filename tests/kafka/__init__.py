"""A real Kafka server for the integration tests, and the fixtures that hand it out."""
