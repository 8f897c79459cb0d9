"""One module or folder per provider behind one interface (base.py). Each declares what it needs (declaration.py).

Adapters do not import each other; registry.py lists them, and those of other packages.
"""
