"""A receiver of webhooks that checks their signatures. WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rushes.client import BadSignature, webhooks

LARGEST_BYTES = 1024**2


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST_BYTES))
        try:
            event = webhooks.verify(body, dict(self.headers), os.environ["WEBHOOK_SECRET"])
        except BadSignature as error:
            self.send_error(400, error.detail)
            return
        print(event, flush=True)  # Put it in a queue here and work on it later: the sender waits for this answer.
        self.send_response(204)
        self.end_headers()


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver) as server:
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
