"""Verifies and signs as Alipay's documents say, with code that shares nothing with Merx.

Reads one JSON object on standard input, writes one: {"ok": bool} or {"form": text}.
"""

import base64
import json
import sys
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding


def verified(pem, text, sign):
    key = serialization.load_pem_public_key(pem.encode())
    try:
        key.verify(base64.b64decode(sign), text, padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def joined(params, without):
    return "&".join(f"{k}={params[k]}" for k in sorted(params) if k not in without).encode()


def request(ask):
    pairs = parse_qsl(urlsplit(ask["url"]).query) + parse_qsl(ask["body"])
    params = dict(pairs)
    assert len(params) == len(pairs)
    return {"ok": verified(ask["key"], joined(params, {"sign"}), params["sign"])}


def notification(ask):
    params = dict(parse_qsl(ask["form"], keep_blank_values=True))
    return {"ok": verified(ask["key"], joined(params, {"sign", "sign_type"}), params["sign"])}


def sign_notification(ask):
    params = ask["fields"]
    key = serialization.load_pem_private_key(ask["key"].encode(), None)
    sign = key.sign(joined(params, ()), padding.PKCS1v15(), hashes.SHA256())
    return {"form": urlencode({**params, "sign_type": "RSA2", "sign": base64.b64encode(sign).decode()})}


def answer(ask):
    text = ask["text"]
    start = text.index(ask["property"] + '":') + len(ask["property"]) + 2
    end = text.rindex(',"sign":')
    return {"ok": verified(ask["key"], text[start:end].encode(), json.loads(text)["sign"])}


ask = json.load(sys.stdin)
print(json.dumps(globals()[ask["do"]](ask)))
