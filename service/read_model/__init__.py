"""The read model's stores: each implements the ports `ReadModel` and `ProjectionStore`."""
