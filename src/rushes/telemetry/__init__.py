"""What operators are shown of the running service: metrics, a line for each move of a job, traces."""
