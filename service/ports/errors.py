"""What can go wrong at a port, by the action it asks for."""


class UnavailableError(Exception):
    """The store did not answer, or cannot now (down, overloaded, disk full). The action: try again later.

    An insert that ended so may or may not have happened; the same insert with the same token can be repeated.
    """


class StoreSetupError(Exception):
    """The store, its DSN or its tables are not what the service needs. The action: stop; a person must act."""


class ForeignStoreError(Exception):
    """The store and the topics do not belong together. The action: stop; a person must act."""
