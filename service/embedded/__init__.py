"""A real Apache Kafka as a child process, for people without Docker, for tests and for the demo."""
