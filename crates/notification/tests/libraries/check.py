"""Receives webhooks from `deliver` and checks them with the packages `standardwebhooks` of PyPI (HMAC) and
`cryptography` (Ed25519, which that package does not know). Usage: check.py PATH-TO-DELIVER"""

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

received, failed_once, lock = [], set(), threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            received.append((self.path, headers, body))
            key = (self.path, headers["webhook-id"])
            status = 200 if key in failed_once else 503
            failed_once.add(key)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def verify(secret, headers, body):
    if secret.startswith("whpk_"):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret[5:]))
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        for signature in headers["webhook-signature"].split(" "):
            version, value = signature.split(",")
            if version == "v1a":
                key.verify(base64.b64decode(value), content)
                return
        raise InvalidSignature("no v1a signature")
    Webhook(secret).verify(body, headers)


def refused(secret, headers, body):
    try:
        verify(secret, headers, body)
    except (InvalidSignature, WebhookVerificationError):
        return
    raise SystemExit("a forged webhook was accepted")


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
told = subprocess.run([sys.argv[1], f"http://127.0.0.1:{server.server_port}"], capture_output=True, text=True, check=True)
secrets = {line["path"]: line["secrets"] for line in map(json.loads, told.stdout.splitlines())}

checked = 0
for path, headers, body in received:
    for secret in secrets[path]:
        verify(secret, headers, body)
        refused(secret, headers, body + b" ")
        refused(secret, {**headers, "webhook-id": "msg_other"}, body)
        checked += 1
    assert json.loads(body)["type"] == "ordering.order_completed.v2"
    assert headers["content-type"] == "application/json"

# Three endpoints, two facts, one failure and one success each; and one replay.
assert len(received) == 13, len(received)
ids = {headers["webhook-id"] for _, headers, _ in received}
assert len(ids) == 2, f"a retry or replay came under another id: {ids}"
print(f"PyPI standardwebhooks: {checked} of {checked} signatures verified over {len(received)} requests")
