"""The guardrails that can be asked: the operator's own service, and OpenAI's moderations."""
