"""What only an operator can decide: aborting, recovering and settling jobs."""
