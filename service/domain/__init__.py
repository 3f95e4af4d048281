"""The rules, pure: no clock, no ids made up, no I/O. What happens is decided here and nowhere else."""
