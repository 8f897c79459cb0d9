"""ComfyUI servers: workflows that the operator exported for the API, as models.

graph.py reads a workflow, binding.py says where a request's options go in it, payload.py fills it, node_list.py holds
it against what a server has, and reply.py reads what the server answers; all five are pure.
"""

from typing import Final

from rushes.providers.comfyui.adapter import Comfyui
from rushes.providers.comfyui.entry import Server, ServerOptions, configured
from rushes.providers.own_server import ServerKind

KIND: Final = ServerKind("comfyui", ServerOptions, configured)

__all__ = ["KIND", "Comfyui", "Server", "ServerOptions"]
