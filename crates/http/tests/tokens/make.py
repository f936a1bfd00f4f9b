"""Tokens made by PyJWT, one JSON object a line; and our token, verified by PyJWT. Reads what `tokens facts` prints."""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

facts = json.load(sys.stdin)
header, claims = facts["header"], facts["claims"]


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


ours = Ed25519PrivateKey.from_private_bytes(decoded(facts["seed"]))
theirs = Ed25519PrivateKey.generate()
public = decoded(facts["public"])
pem = ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
now = int(time.time())


def tell(name, good, token):
    print(json.dumps({"by": "PyJWT", "name": name, "good": good, "token": token}))


def sign(body=None, more=None, key=ours, alg="EdDSA", drop=()):
    head = {"kid": header["kid"], "typ": header["typ"], **(more or {})}
    head = {k: (None if k in drop else v) for k, v in head.items()}
    return jwt.encode(body if body is not None else claims, key, algorithm=alg, headers=head)


def by_hmac(secret, name, digest):
    # PyJWT itself refuses a public key as the secret of an HMAC; an attacker's library does not.
    head = encoded(json.dumps({**header, "alg": name}).encode())
    signed = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), digest).digest())}"


seen = jwt.decode(facts["token"], ours.public_key(), algorithms=["EdDSA"], audience=claims["aud"], issuer=claims["iss"])
assert seen["sub"] == claims["sub"], "PyJWT reads our token otherwise"

tell("plain", True, sign())
tell("fresh", True, sign({**claims, "iat": now, "nbf": now, "exp": now + 600}))

tell("none", False, sign(key=None, alg="none"))
for name, digest in [("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)]:
    tell(f"{name} with the public key", False, by_hmac(public, name, digest))
    tell(f"{name} with the public key in PEM", False, by_hmac(pem, name, digest))
    tell(f"{name} with the public key in base64", False, by_hmac(facts["public"].encode(), name, digest))
tell("RS256", False, sign(key=rsa.generate_private_key(65537, 2048), alg="RS256"))
tell("ES256", False, sign(key=ec.generate_private_key(ec.SECP256R1()), alg="ES256"))
tell("their key, our kid", False, sign(key=theirs))
for name, more in {
    "kid a path": {"kid": "../../../../dev/null"},
    "kid SQL": {"kid": "x' UNION SELECT 'key' -- "},
    "kid a URL": {"kid": "https://evil.example/key"},
    "jku": {"jku": "https://evil.example/keys"},
    "x5u": {"x5u": "https://evil.example/cert"},
    "typ JWT": {"typ": "JWT"},
    "cty": {"cty": "JWT"},
    "crit": {"crit": ["exp"]},
    "zip": {"zip": "DEF"},
}.items():
    tell(name, False, sign(more=more))
tell("no typ", False, sign(drop=("typ",)))
for name, more in {
    "aud of another": {"aud": "merx/other"},
    "aud a list": {"aud": [claims["aud"]]},
    "iss of another": {"iss": "https://evil.example"},
    "expired": {"iat": now - 700, "exp": now - 100},
    "not yet": {"nbf": now + 600},
    "made in the future": {"iat": now + 600},
    "a claim more": {"admin": True},
    "a role we do not have": {"roles": ["root"]},
    "exp a fraction": {"exp": now + 600.5},
    "huge": {"roles": ["customer"] * 4000},
}.items():
    tell(name, False, sign({**claims, **more}))
for name in ["aud", "iss", "sub", "sid", "roles", "exp", "iat"]:
    tell(f"no {name}", False, sign({k: v for k, v in claims.items() if k != name}))
