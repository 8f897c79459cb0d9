"""Files: storage and its kinds, callers' inputs, providers' outputs, what a file contains, and signed links."""
