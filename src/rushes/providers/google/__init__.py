"""Google's video models. It has two APIs, with an adapter each; declaration.py states what they need.

gemini.py is the Gemini API, used with an API key; payload.py says a request in its words, reply.py reads what it
answers. vertex.py is Vertex, used with a service account: veo.py (with veo_payload.py and veo_reply.py) and
platform_omni.py are its two APIs, platform.py the way there, tokens.py its access tokens, inline.py finds videos inside
replies. Payloads and replies are pure.
"""

from rushes.providers.google.declaration import PROVIDER
from rushes.providers.google.gemini import GOOGLE_URL, Gemini
from rushes.providers.google.platform import Place
from rushes.providers.google.vertex import Vertex

__all__ = ["GOOGLE_URL", "PROVIDER", "Gemini", "Place", "Vertex"]
