"""Accounts, their API keys, and their limits."""
