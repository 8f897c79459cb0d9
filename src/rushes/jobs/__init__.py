"""What callers do with jobs (service.py), their rows (store.py) and the changes of their state (transitions.py)."""
