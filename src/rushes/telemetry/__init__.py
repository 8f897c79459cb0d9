"""Metrics, traces, and a log line for each move of a job."""
