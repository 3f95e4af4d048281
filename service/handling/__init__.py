"""The write side: commands in, events out, exactly once. One owner per partition, one Kafka transaction per batch."""
