"""Models of hubs, as data: how each is asked (`wire.py`, `ask.py`) and where its answer has the video (`answer.py`).

A hub hosts many models, and each has a schema of its own. The `wire` table of a catalogue entry says what that schema
is called in our terms, so a model needs no code. An operator's entry adds any other model of the hub.
"""
