"""A certificate authority of the tests' own, made on the fly, and one server certificate signed by it."""

import datetime
import functools
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.servers.processes import forever_folder

DOMAINS = ("own.example", "firm.example")
"""Of companies whose servers the tests play: a test leads their names to this machine."""


@dataclass(frozen=True)
class Authority:
    """`file` is what a client must trust; `cert_file` and `key_file` belong to localhost, 127.0.0.1 and :data:`DOMAINS`."""

    file: Path
    cert_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))


@functools.cache
def ca() -> Authority:
    """The one authority of this test run."""
    folder = forever_folder("ca")
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority_certificate(authority_key, _name("Inkling test authority"))
    server = _server_certificate(server_key, authority, authority_key)
    made = Authority(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.file.write_bytes(_pem(authority))
    made.cert_file.write_bytes(_pem(server))
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def unknown_authority() -> Path:
    """The certificate of one that signs nothing here. It stands for those that the system trusts: reading all of them takes
    forty milliseconds, for each client anew."""
    file = forever_folder("authorities") / "system.pem"
    file.write_bytes(_pem(_authority_certificate(ec.generate_private_key(ec.SECP256R1()), _name("Nobody's authority"))))
    return file


def _authority_certificate(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.Certificate:
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    names = [
        *(x509.DNSName(name) for name in ("localhost", *DOMAINS, *(f"*.{domain}" for domain in DOMAINS))),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    return (
        _builder(_name("localhost"), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Python 3.13 verifies strictly (RFC 5280 §4.2.1.1) and wants this one
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
