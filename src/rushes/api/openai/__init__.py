"""OpenAI's Videos API under /v1, for code that was written for it: the same services in another wire shape."""
