"""A minimal custom handler in Python without any package: it does what `cargo xtask bench start` asks of ours, that is,
takes a queue invocation apart, reads the message, and turns one of another version away."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            invocation = json.loads(body)
            message = json.loads(json.loads(next(iter(invocation["Data"].values()))))
            if message["v"] == 1:
                self.answer(200, {"Outputs": {}, "Logs": [], "ReturnValue": None})
                return
        except (KeyError, TypeError, ValueError, StopIteration):
            pass
        self.answer(500, {"title": "a message of another version", "status": 500})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
