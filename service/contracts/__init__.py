"""What other services see: topics, the CloudEvents envelope, commands, events, replies, problems. Pure."""
