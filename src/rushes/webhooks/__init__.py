"""Our calls to customers: who is told of what, the messages still to be delivered, their signatures and retries."""
