"""Makes the certificates and the figures beside it, with code that shares nothing with Merx.

Two roots (RSA, and one on a curve that must not count), Alipay's certificate with its issuer's behind it, and the
application's. Their private keys are for tests only. `figures.json` holds the serial numbers and an encrypted content.
"""

import base64
import datetime
import hashlib
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

HERE = Path(__file__).parent
FROM = datetime.datetime(2026, 1, 1)


def name(*parts):
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def made(subject, issuer, key, signer, serial):
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(FROM).not_valid_after(FROM.replace(year=2046))
    return builder.sign(signer, hashes.SHA256())


def pem(*certificates):
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def private(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def sn(certificate):
    text = certificate.issuer.rfc4514_string() + str(certificate.serial_number)
    return hashlib.md5(text.encode()).hexdigest()


rsa_key = lambda: rsa.generate_private_key(65537, 2048)
root_key, class2_key, alipay_key, app_key = rsa_key(), rsa_key(), rsa_key(), rsa_key()
curve_key = ec.generate_private_key(ec.SECP256R1())
root = name((NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Merx, Test \"Financial\""),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "证书 Authority"), (NameOID.COMMON_NAME, "Merx Test Root R1"))
class2 = name((NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Merx Test"),
              (NameOID.COMMON_NAME, "Merx Test Class 2 R1"))
curve = name((NameOID.COUNTRY_NAME, "CN"), (NameOID.COMMON_NAME, "Merx Test Root E1"))
leaf = lambda text: name((NameOID.COUNTRY_NAME, "CN"), (NameOID.COMMON_NAME, text))

roots = [
    made(root, root, root_key, root_key, 0x449D9D78C5A3B7E1F00DCAFE0123456789ABCDEF),
    made(curve, curve, curve_key, curve_key, 7),
    made(class2, root, class2_key, root_key, 0x8000000000000001),
]
alipay = made(leaf("Alipay of the tests"), class2, alipay_key, class2_key, 0x2026112000000000000000000001)
app = made(leaf("2021000000000001"), class2, app_key, class2_key, 1)

files = {"root.pem": pem(*roots), "alipay.pem": pem(alipay, roots[2]), "app.pem": pem(app),
         "alipay.key": private(alipay_key), "app.key": private(app_key)}
for file, text in files.items():
    (HERE / file).write_text(text)

aes = bytes(range(16))
content = '{"out_trade_no":"a1","subject":"茶杯/cups"}'
padder = padding.PKCS7(128).padder()
padded = padder.update(content.encode()) + padder.finalize()
encryptor = Cipher(algorithms.AES(aes), modes.CBC(bytes(16))).encryptor()
figures = {
    "alipay_sn": sn(alipay), "app_sn": sn(app), "root_sn": "_".join([sn(roots[0]), sn(roots[2])]),
    "aes_key": base64.b64encode(aes).decode(), "content": content,
    "encrypted": base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode(),
}
(HERE / "figures.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
