"""The worker: it claims jobs and runs each one, from its submission to its stored videos."""
