"""Bytes: where they are kept (storage.py and its kinds), what they are (probe.py), how they are shown (links.py)."""
