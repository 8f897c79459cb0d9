"""What jobs cost: estimates, the ledger, spend limits, usage and the statement of an account."""
