"""The audit log: who has changed accounts, keys, limits, webhooks and money; a chain of hashes holds it together."""
