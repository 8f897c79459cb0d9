"""Reading files of strangers in processes that can do nothing else.

Read box.py first: it is what the service calls. fork_server.py runs in a process of its own and starts one process for
each file; sandbox.py takes from that process what it does not need. frames.py turns frames as a player shows them.
"""
