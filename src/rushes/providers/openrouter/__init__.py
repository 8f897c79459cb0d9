"""OpenRouter: one API in front of many video models."""

from rushes.providers.openrouter.provider import PROVIDER, Openrouter

__all__ = ["PROVIDER", "Openrouter"]
