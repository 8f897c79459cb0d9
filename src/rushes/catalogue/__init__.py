"""Models as data: one TOML file per provider, its shape (model.py), and what is decided from it alone."""
