"""Webhooks: endpoints and their secrets, messages, signatures, deliveries and retries."""
