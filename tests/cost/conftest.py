"""What things cost, so that a change that makes one dearer fails a test. `measure.py` has what to measure with.

A test here compares two measurements of one run: a hundred times the history may not take more calls for a page of it;
a file of 60 MB may take no more memory than one of 6 MB. It counts calls, statements, bytes or requests, and never
seconds: the machine may be slow, shared or fast. `make bench` measures seconds.
"""
