"""Who may call: accounts, and the API keys that speak for them."""
