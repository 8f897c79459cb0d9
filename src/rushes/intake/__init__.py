"""Reading what clients send: bodies, and the generations that they ask for. The API and the console share it."""
