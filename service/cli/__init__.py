"""The command line. It only calls: the rules are in the service."""
