"""How a process runs, whatever it runs: its tasks, its HTTP server, its signals, its child processes."""
