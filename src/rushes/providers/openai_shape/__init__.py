"""Servers that speak OpenAI's Videos API: people's own GPUs behind vLLM-Omni or SGLang, and many resellers.

flavor.py holds how their dialects differ and what a model of theirs is taken to offer, payload.py says a request in
their words, reply.py reads what they answer; all three are pure. Any number of servers is configured by name.
"""

from typing import Final

from rushes.providers.openai_shape.adapter import OpenaiShape
from rushes.providers.openai_shape.entry import Server, ServerOptions, configured
from rushes.providers.openai_shape.flavor import FLAVORS, Flavor
from rushes.providers.own_server import ServerKind

KIND: Final = ServerKind("openai", ServerOptions, configured)

__all__ = ["FLAVORS", "KIND", "Flavor", "OpenaiShape", "Server", "ServerOptions"]
