"""The certificate authority of one simulator and the certificate of WhatsApp's names."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVED_NAMES = ("web.whatsapp.com", "*.whatsapp.com", "*.whatsapp.net")
"""What the certificate is for, and all that the proxy lets through."""

_LIFE = timedelta(days=3650)


def is_served(host: str) -> bool:
    """Whether a host name is one of WhatsApp's own, which the simulator plays."""
    return any(
        host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in SERVED_NAMES
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: PEM of its certificate and of its key."""

    certificate: bytes
    key: bytes

    @classmethod
    def create(cls) -> "Authority":
        """A new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Roost simulator CA")
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def server_context(self) -> ssl.SSLContext:
        """TLS for a server under WhatsApp's names, with a certificate made for it."""
        authority = x509.load_pem_x509_certificate(self.certificate)
        signer = serialization.load_pem_private_key(self.key, None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not an EC key")
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*map(x509.DNSName, SERVED_NAMES), x509.IPAddress(_LOOPBACK)]
        certificate = (
            _builder(_name(SERVED_NAMES[0]), authority.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        with TemporaryDirectory() as folder:  # the ssl module reads files only
            chain = Path(folder, "chain.pem")
            chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + _pem(key))
            context.load_cert_chain(chain)
        return context


_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
