"""Google's video models. Its surfaces are different APIs: gemini.py is the Gemini API, used with an API key.

payload.py says a request in its words, reply.py reads what it answers; both are pure.
"""

from rushes.providers.google.gemini import GOOGLE_URL, Gemini

__all__ = ["GOOGLE_URL", "Gemini"]
