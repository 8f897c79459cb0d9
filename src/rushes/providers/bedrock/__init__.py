"""AWS Bedrock's asynchronous invocations: a call that ends with a file in a bucket of ours or of the caller's.

payload.py says a request in its words and reply.py reads what it answers, both pure; calls.py is where boto3 is.
"""

from rushes.providers.bedrock.adapter import Bedrock
from rushes.providers.bedrock.declaration import PROVIDER

__all__ = ["PROVIDER", "Bedrock"]
