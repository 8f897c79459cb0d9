"""The words that every other folder shares: what is asked for, how far it is, what came out. No I/O."""
