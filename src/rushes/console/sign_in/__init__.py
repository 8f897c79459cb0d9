"""How a browser gets a session, keeps it, and ends it."""
