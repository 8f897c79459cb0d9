"""The life of a job: its states (job.py), what callers do with it (service.py), and the worker that carries it out."""
