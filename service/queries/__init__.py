"""Read side, reading: Get, List, Stats and History, one implementation for the API, the CLI and Kafka."""
