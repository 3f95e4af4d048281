"""What can go wrong with ClickHouse, by the action it asks for."""

from typing import Final

from clickhouse_connect.driver.exceptions import DatabaseError, Error, OperationalError

from service.ports.errors import StoreSetupError, UnavailableError

_TEMPORARY: Final = frozenset(
    {
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR: the disk is full
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server shuts down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED: a shard is down
        285,  # TOO_FEW_LIVE_REPLICAS: for the quorum of an insert
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        999,  # KEEPER_EXCEPTION
    }
)
"""ClickHouse's error codes that pass without a change on our side."""


_SETUP: Final = frozenset(
    {
        81,  # UNKNOWN_DATABASE
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        497,  # ACCESS_DENIED
        516,  # AUTHENTICATION_FAILED
        701,  # CLUSTER_DOESNT_EXIST
    }
)
"""Error codes that say the DSN or the cluster is not right, or its user may not do what the service must."""


def translated(error: Error | OSError) -> Exception:
    """The error as ours, by the action it asks for; a mistake in our own SQL stays as it is."""
    if _is_temporary(error):
        return UnavailableError(f"ClickHouse did not do it: {error}")
    if isinstance(error, Error) and error.code in _SETUP:
        return StoreSetupError(
            f"ClickHouse refuses: {error}. Check the user, password and database in its DSN, and the cluster's name."
        )
    return error


def _is_temporary(error: Error | OSError) -> bool:
    if isinstance(error, OSError) or error.code in _TEMPORARY:
        return True
    # No code: the answer did not come from ClickHouse itself, but from the network or a proxy.
    return error.code is None and (isinstance(error, OperationalError) or type(error) is DatabaseError)
