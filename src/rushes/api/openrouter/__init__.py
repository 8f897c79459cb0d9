"""OpenRouter's video API under /api/v1/videos, for code that was written for it: the same services in another shape."""
