"""ClickHouse: one async port for the server and for the engine in process, the schema, and the projector's position."""
