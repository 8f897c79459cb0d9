"""Google's video APIs, for code that was written for them: the same services in another wire shape."""
