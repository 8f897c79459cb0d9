"""The database: one interface (database.py), its dialects, and the migrations. Nothing else knows which one runs."""
