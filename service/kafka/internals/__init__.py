"""What the service needs of aiokafka beyond its public calls, and nothing else."""
