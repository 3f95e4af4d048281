"""Where aiokafka's internals are used, and nowhere else: each use has a test that fails when aiokafka changes it."""
