"""Tells readers of events while they happen: one reader of Kafka for all of them."""
