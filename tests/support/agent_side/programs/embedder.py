"""An embedder without torch: a vector of four numbers that tells the text.

A text ``die`` has it die, once (``died`` in its current folder tells); ``always die`` each time;
``short`` has it forget a vector, ``narrow`` makes them shorter, ``wait`` has it never answer. It
writes one line per request to ``embedder-events``.
"""

import argparse
import base64
import hashlib
import json
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MAX_TOKENS = 8
LOCK = threading.Lock()


def vector_of(text):
    found = struct.unpack("<4I", hashlib.sha256(text.encode()).digest()[:16])
    return struct.pack("<4f", *(number / 2**32 for number in found))


def note(line):
    with LOCK, Path("embedder-events").open("a") as stream:
        stream.write(line + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token = ""

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        return self.headers.get("Authorization") == f"Bearer {self.token}"

    def do_GET(self):
        self.answer({"running": 0, "waiting": 0} if self.allowed() else {}, 200)

    def do_POST(self):
        if not self.allowed():
            return self.answer({"error": {"message": "no token"}}, 401)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["input"]
        note(f"texts {len(texts)} fields {sorted(body)}")
        if "always die" in texts or ("die" in texts and not Path("died").exists()):
            Path("died").touch()
            os._exit(13)
        if "wait" in texts:
            self.rfile.read(1)  # until the caller hangs up
            note("reader left")
            self.close_connection = True
            return None
        vectors = [vector_of(text) for text in texts]
        if "short" in texts:
            vectors.pop()
        if "narrow" in texts:
            vectors = [vector[:8] for vector in vectors]
        data = [
            {"index": n, "embedding": base64.b64encode(v).decode()} for n, v in enumerate(vectors)
        ]
        words = [len(text.split()) for text in texts]
        tokens = sum(min(count, MAX_TOKENS) for count in words)
        truncated = sum(count > MAX_TOKENS for count in words)
        return self.answer(
            {"data": data, "usage": {"prompt_tokens": tokens}, "truncated_texts": truncated}
        )


def main():
    parser = argparse.ArgumentParser()
    for name in ("--model", "--token-file", "--ready-file", "--threads"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    Handler.token = Path(given.token_file).read_text()
    assert (Path(given.model) / "embedding_model.json").exists()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    draft = Path(given.ready_file + ".draft")
    draft.write_text(json.dumps({"port": server.server_port, "pid": os.getpid()}))
    draft.rename(given.ready_file)
    note("start")
    server.serve_forever()


if __name__ == "__main__":
    main()
