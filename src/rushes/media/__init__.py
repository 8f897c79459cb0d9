"""Bytes: where they are kept (storage.py and its kinds), what they are (sniff.py, probe.py, picture.py), how a caller's
come in (inputs.py) and leave again (cleaner.py), how a provider's are kept (custody.py) and shown (links.py)."""
