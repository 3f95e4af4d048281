"""How RocksDB is set up for a partition's state: small in memory, whatever it holds, and never in the way."""

from typing import Final

from rocksdict import BlockBasedIndexType, BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, Options

CACHE_BYTES: Final = 16 << 20
"""Shared by all partitions of a process: blocks that were read, their indexes and Bloom filters."""

WRITE_BUFFER_BYTES: Final = 2 << 20
"""A partition's newest records, before they are written to the disk: what a crash leaves to be read from the topic."""

_MAX_WRITE_BUFFERS: Final = 6
_BLOCK_BYTES: Final = 8 << 10
_BLOOM_BITS: Final = 10
_MAX_OPEN_FILES: Final = 64
_RUNS: Final = 8
"""So many sorted files are looked into at most, by their filters, before they are merged."""

_NEVER: Final = 1 << 20


def options(cache: Cache) -> Options:
    """Options of a store whose keys are random, and mostly looked up to find that they are not there."""
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_block_size(_BLOCK_BYTES)
    blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
    # With 50 million records the filters have 60 MB: they are cached in parts, as they are needed.
    blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
    blocks.set_partition_filters(True)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_top_level_index_and_filter(True)
    result = Options(raw_mode=True)
    result.create_if_missing(True)  # noqa: FBT003 - rocksdict's own signature
    result.set_block_based_table_factory(blocks)
    # Merged seldom, and tightly only at last: leveled compaction with zstd throughout took a third more of the CPU.
    result.set_compaction_style(DBCompactionStyle.universal())
    result.set_level_zero_file_num_compaction_trigger(_RUNS)
    result.set_compression_type(DBCompressionType.lz4())
    result.set_bottommost_compression_type(DBCompressionType.zstd())
    result.set_max_open_files(_MAX_OPEN_FILES)
    result.set_max_background_jobs(2)
    result.set_keep_log_file_num(2)
    result.set_max_log_file_size(1 << 20)
    result.set_stats_dump_period_sec(0)
    # A write that RocksDB delays would stop the whole process: `StateStore.is_busy` is asked before each.
    result.set_write_buffer_size(WRITE_BUFFER_BYTES)
    result.set_max_write_buffer_number(_MAX_WRITE_BUFFERS)
    result.set_level_zero_slowdown_writes_trigger(_NEVER)
    result.set_level_zero_stop_writes_trigger(_NEVER)
    result.set_soft_pending_compaction_bytes_limit(0)
    result.set_hard_pending_compaction_bytes_limit(0)
    return result
