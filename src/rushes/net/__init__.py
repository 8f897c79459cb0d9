"""Talking to other hosts safely: the HTTP client, the address guard, redaction of secrets."""
