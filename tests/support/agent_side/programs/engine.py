"""An engine without torch: the HTTP API of one; its answer is words that say what it was asked.

It writes one line per thing that happens to ``engine-events`` in its current folder. A user message
``slowly`` has it pause between words, ``break`` has it die in the middle, ``flood`` has it send
words that no agent joins, ``crowded`` leaves room for less than two tokens of answer.
"""

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOCK = threading.Lock()
ADAPTERS = {}
NAMES = {}


def note(line):
    with LOCK, Path("engine-events").open("a") as stream:
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

    def refuse(self, status, message):
        self.answer(
            {"error": {"message": message, "type": "x", "param": None, "code": "x"}}, status
        )

    def allowed(self):
        return self.headers.get("Authorization") == f"Bearer {self.token}"

    def do_GET(self):
        if not self.allowed():
            return self.refuse(401, "no token")
        if self.path == "/v1/load":
            load = {"running": 0, "waiting": 0, "tokens_per_second": 12.5}
            return self.answer({**load, "adapters": sorted(ADAPTERS)})
        return self.answer({"status": "ok"})

    def do_POST(self):
        if not self.allowed():
            return self.refuse(401, "no token")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            if not (Path(body["lora_path"]) / "adapter_config.json").exists():
                return self.refuse(400, "no such folder")
            ADAPTERS[body["lora_name"]] = body["lora_path"]
            note(f"load {body['lora_name']}")
            return self.answer({"status": "ok"})
        if self.path == "/v1/unload_lora_adapter":
            ADAPTERS.pop(body["lora_name"], None)
            note(f"unload {body['lora_name']}")
            return self.answer({"status": "ok"})
        if body["model"] not in (NAMES["base"], *ADAPTERS):
            return self.refuse(404, "no such model")
        return self.stream(body)

    def stream(self, body):
        text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        note(f"fields {sorted(body)}")
        if "crowded" in text and body.get("max_tokens", 0) > 1:
            return self.refuse(400, "This model's maximum context length is 9 tokens.")
        if "cache_salt" in body:
            note(f"salt {body['cache_salt']}")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        words = ["You", " asked", " ", body["model"], ": ", text]
        words += [f" {n}" for n in range(body.get("max_tokens", 3))]
        try:
            self.chunk({"role": "assistant", "content": ""})
            for number, word in enumerate(words):
                if "slowly" in text:
                    time.sleep(0.05)
                if "break" in text and number == 4:
                    os._exit(13)
                self.chunk({"content": word}, flood="flood" in text)
            self.chunk({}, "stop")
            usage = {"prompt_tokens": 5, "completion_tokens": len(words), "total_tokens": 9}
            self.send({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            note("reader left")
        self.close_connection = True

    def chunk(self, delta, finish=None, flood=False):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
        usage = {"usage": {"prompt_tokens": 5, "completion_tokens": 1}} if flood else {}
        self.send({**chunk, **usage})

    def send(self, chunk):
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()


def main():
    parser = argparse.ArgumentParser()
    for name in ("--model", "--token-file", "--ready-file", "--threads"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    Handler.token = Path(given.token_file).read_text()
    NAMES["base"] = json.loads((Path(given.model) / "base_model.json").read_text())["name"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    draft = Path(given.ready_file + ".draft")
    draft.write_text(json.dumps({"port": server.server_port, "pid": os.getpid()}))
    draft.rename(given.ready_file)
    note("start")
    server.serve_forever()


if __name__ == "__main__":
    main()
