"""Task definitions as Kafka has them: from records to the versions of each task, for handlers and clients."""
