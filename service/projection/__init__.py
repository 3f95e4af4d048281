"""Read side, writing: the events and rejections topics into ClickHouse, exactly, by replayable inserts."""
