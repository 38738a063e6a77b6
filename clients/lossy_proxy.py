"""A proxy that loses answers: lossy_proxy.py URL. It prints its own URL.

The first request with a signature is carried out, but its answer is lost; the second gets 503; the third gets through.
So a client gets an answer only if it sends the same signed request again.
"""

import sys
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

server = urlsplit(sys.argv[1])
seen = Counter()


class Lossy(BaseHTTPRequestHandler):
    def forward(self):
        signature = self.headers["Api-Signature"]
        seen[signature] += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if seen[signature] == 2:
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = HTTPConnection(server.hostname, server.port, timeout=30)
        names = ("Api-Signature", "Content-Type", "If-Match", "If-None-Match")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if seen[signature] == 1:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name in ("Content-Type", "ETag", "Location"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        if answer.status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_DELETE = forward

    def log_message(self, *_):
        pass


proxy = ThreadingHTTPServer(("127.0.0.1", 0), Lossy)
print(f"http://127.0.0.1:{proxy.server_port}", flush=True)
proxy.serve_forever()
