"""rushes: a self-hosted video generation gateway. The top-level folders answer "what does this do?"."""

__version__ = "0.1.0"
