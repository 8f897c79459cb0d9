"""The HTTP surfaces: they translate and delegate, nothing more."""
