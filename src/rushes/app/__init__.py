"""The composition root: settings in, wired parts out. No container, no globals."""
