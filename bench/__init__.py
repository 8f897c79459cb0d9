"""Measurements of speed and memory, one question a file: `python -m bench` answers all, `python -m bench.read` one.

Each starts the real `rushes serve` in a process of its own on one core and loads it over real sockets from another.
A figure is the median of several rounds. Only the ratios travel between machines: both sides of a ratio are measured
in one run, by turns, so that what else the machine does meets them alike.
"""
