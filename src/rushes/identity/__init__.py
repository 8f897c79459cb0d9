"""Signing in with OpenID Connect: the provider's side of it, and which account and role its claims give."""
