"""One file per provider behind one interface (base.py); adapters are strangers to each other."""
