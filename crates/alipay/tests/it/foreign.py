"""Verifies and signs as Alipay's documents say, with code that shares nothing with Merx.

Reads one JSON object on standard input, writes one: {"ok": bool} or {"form": text}.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives import padding as symmetric_padding
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def verified(pem, text, sign):
    key = serialization.load_pem_public_key(pem.encode())
    try:
        key.verify(base64.b64decode(sign), text, padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def joined(params, without):
    return "&".join(f"{k}={params[k]}" for k in sorted(params) if k not in without).encode()


def sn(certificate):
    text = certificate.issuer.rfc4514_string() + str(certificate.serial_number)
    return hashlib.md5(text.encode()).hexdigest()


def numbers(folder):
    """The serial numbers of certificate mode, from the certificates themselves."""
    read = lambda name: x509.load_pem_x509_certificates((Path(folder) / name).read_bytes())
    rsa = [c for c in read("root.pem") if c.signature_algorithm_oid.dotted_string.startswith("1.2.840.113549.1.1")]
    return {"app_cert_sn": sn(read("app.pem")[0]), "alipay_root_cert_sn": "_".join(map(sn, rsa))}


def decrypted(text, key):
    decryptor = Cipher(algorithms.AES(base64.b64decode(key)), modes.CBC(bytes(16))).decryptor()
    unpadder = symmetric_padding.PKCS7(128).unpadder()
    padded = decryptor.update(base64.b64decode(text)) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def requests(ask):
    """Signed by the key, with the numbers of the certificates, and with content that is JSON once it is decrypted."""
    wanted = numbers(ask["certificates"]) if ask["certified"] else {}
    verdicts = []
    for one in ask["requests"]:
        pairs = parse_qsl(urlsplit(one["url"]).query) + parse_qsl(one["body"])
        params = dict(pairs)
        assert len(params) == len(pairs) and params["sign_type"] == "RSA2" and params["version"] == "1.0"
        assert {k: params[k] for k in params if k.endswith("_cert_sn")} == wanted
        assert params.get("encrypt_type") == ("AES" if ask["aes"] else None)
        content = params["biz_content"]
        json.loads(decrypted(content, ask["aes"]) if ask["aes"] else content)
        verdicts.append(verified(ask["key"], joined(params, {"sign"}), params["sign"]))
    return {"ok": verdicts}


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
    if ',"alipay_cert_sn":' in text:
        end = text.rindex(',"alipay_cert_sn":')
    return {"ok": verified(ask["key"], text[start:end].encode(), json.loads(text)["sign"])}


ask = json.load(sys.stdin)
print(json.dumps(globals()[ask["do"]](ask)))
