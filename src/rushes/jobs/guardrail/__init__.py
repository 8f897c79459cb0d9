"""The operator's guardrail: asking it about a request, acting on its answer, and the records of both."""
