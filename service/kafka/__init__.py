"""What every part that speaks Kafka shares: records, partitioning, topics."""
