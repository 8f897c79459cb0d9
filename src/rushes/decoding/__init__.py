"""Decoding files of strangers: the box in which it is done, and frames as a player shows them."""
