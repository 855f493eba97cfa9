"""Keys for servers: made, or read from what a user brings, with the fingerprints that the API shows.

SSH keys made here are RSA, as a PEM that every client reads; what is brought may be any kind that SSH knows. An x509
key is a certificate for remote login to Windows, named by the user principal name of its user.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from maldon.kernel.errors import BadRequest

RSA_BITS = 2048
CERTIFICATE_DAYS = 3650
_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


@dataclass(frozen=True, slots=True)
class Key:
    """The public half as text, its fingerprint, and the private half when it was made here."""

    type: str
    public: str
    fingerprint: str
    private: str | None = None


def _colons(digest: bytes) -> str:
    return digest.hex(":")


def ssh_key(public: str) -> Key:
    """A public key in OpenSSH's form. Raises BadRequest."""
    try:
        serialization.load_ssh_public_key(public.strip().encode("utf-8"))
        blob = base64.b64decode(public.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error):
        raise BadRequest("Keypair data is invalid: it is no public key in OpenSSH's form.") from None
    return Key("ssh", public, _colons(hashlib.md5(blob, usedforsecurity=False).digest()))


def x509_key(pem: str) -> Key:
    """A certificate in PEM. Raises BadRequest."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("utf-8"))
    except ValueError:
        raise BadRequest("Keypair data is invalid: it is no certificate in PEM.") from None
    return Key("x509", pem, _colons(certificate.fingerprint(hashes.SHA1())))  # noqa: S303 - a name, not a proof


def new_ssh_key(comment: str) -> Key:
    """A fresh RSA key; takes some tenths of a second."""
    private = rsa.generate_private_key(65537, RSA_BITS)
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    text = private.public_key().public_bytes(*openssh).decode()
    known = ssh_key(f"{text} {comment}")
    return Key("ssh", known.public, known.fingerprint, _pem(private, serialization.PrivateFormat.TraditionalOpenSSL))


def new_x509_key(user_name: str, now: float) -> Key:
    """A fresh RSA key and a certificate signed by itself."""
    private = rsa.generate_private_key(65537, RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_name[:64])])
    begin = datetime.fromtimestamp(now, UTC)
    principal = f"{user_name}@localhost".encode()
    utf8 = b"\x0c" + _length(len(principal)) + principal
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(begin - timedelta(days=1))
        .not_valid_after(begin + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_PRINCIPAL_NAME, utf8)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    known = x509_key(certificate.public_bytes(serialization.Encoding.PEM).decode())
    return Key("x509", known.public, known.fingerprint, _pem(private, serialization.PrivateFormat.PKCS8))


def _length(size: int) -> bytes:
    """A DER length."""
    return bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")


def _pem(private: rsa.RSAPrivateKey, form: serialization.PrivateFormat) -> str:
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
