"""Certificates to measure with: P-256, by an authority and an intermediate of their own, made once and kept in target/.

Used by the scripts beside this file; needs python3-cryptography.
"""

import datetime
import os
import pathlib
import shutil

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import servers

FOLDER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", servers.ROOT / "target")) / "bench-certificates"
PEM = serialization.Encoding.PEM


class Pairs:
    """`count` pairs for site0.test, site1.test, …: `0.pem` (leaf and intermediate), `0.key`, and `both/0.pem` with all."""

    def __init__(self, count):
        self.folder = FOLDER / str(count)
        self.count = count
        self.issuer, self.issuer_key = authority()
        if not (self.folder / "complete").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            (self.folder / "both").mkdir(parents=True)
            for number in range(count):
                self.renew(number)
            (self.folder / "complete").touch()

    def of(self, number):
        return self.folder / f"{number}.pem", self.folder / f"{number}.key"

    def both(self):
        """One file for each pair, as HAProxy has them."""
        return self.folder / "both"

    def renew(self, number):
        """Makes a new pair; the serial number of its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = f"site{number}.test"
        leaf = (builder(name, self.issuer.subject, key)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
                .sign(self.issuer_key, hashes.SHA256()))
        chain = leaf.public_bytes(PEM) + self.issuer.public_bytes(PEM)
        cert_file, key_file = self.of(number)
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        # The order in which a server that reads in between would complain, too.
        for path, content in ((key_file, secret), (cert_file, chain), (self.both() / f"{number}.pem", chain + secret)):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").chmod(0o600)
            path.with_suffix(".new").rename(path)
        return leaf.serial_number


def authority():
    """An intermediate certificate and its key."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    cert_file, key_file = FOLDER / "intermediate.pem", FOLDER / "intermediate.key"
    if not cert_file.exists():
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "BWS bench root")])
        made = (builder("BWS bench intermediate", subject, key)
                .add_extension(x509.BasicConstraints(True, 0), True)
                .sign(root_key, hashes.SHA256()))
        key_file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        cert_file.write_bytes(made.public_bytes(PEM))
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    return x509.load_pem_x509_certificate(cert_file.read_bytes()), key


def builder(name, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365)))
