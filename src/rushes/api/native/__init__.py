"""Our own API under /api/v1: one file per resource, with the shapes it speaks."""
