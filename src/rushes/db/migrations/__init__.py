"""The schema's history, run by Alembic. `versions/` holds one file per step, named by its number."""
