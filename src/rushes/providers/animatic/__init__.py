"""The embedded provider: it draws an animatic, a film's first moving draft, with no key, no network and no GPU.

Read adapter.py first. behaviours.py says how each model ends, order.py holds the content of a handle, drawing_jobs.py
keeps the drawings under way; film.py and its imports run in boxed processes only.
"""

from rushes.providers.animatic.adapter import Animatic
from rushes.providers.animatic.declaration import PROVIDER

__all__ = ["PROVIDER", "Animatic"]
