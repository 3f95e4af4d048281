"""A consumed record as all of our consumers see it: nothing is deserialised for us."""

from aiokafka import ConsumerRecord

Record = ConsumerRecord[bytes, bytes]
"""Key and value are bytes, or None where absent; header values likewise, whatever the annotation says."""
