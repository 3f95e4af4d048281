"""The demo: sample definitions, a workload planned from a seed, its player, and the report."""
