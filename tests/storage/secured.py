"""A replica set of one mongod that requires TLS and a password, as a production server does."""

import datetime
import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.embedded_mongodb.mongod import free_ports, wait_for
from storage.embedded_mongodb.replica_set import find_mongod

START_SECONDS = 60.0
ROOT = ("root", "r00t p@ss/word")


@dataclass(frozen=True)
class Secured:
    """A running server: its port, and the certificate of its authority."""

    port: int
    authority: Path

    def uri(self, user: str, password: str, database: str = "admin", **options: str) -> str:
        """The connection string of a user of a database."""
        defaults = {"replicaSet": "secured", "tls": "true", "tlsCAFile": str(self.authority), "authSource": database}
        query = "&".join(f"{name}={value}" for name, value in (defaults | options).items())
        return f"mongodb://{quote_plus(user)}:{quote_plus(password)}@127.0.0.1:{self.port}/?{query}"

    @contextmanager
    def root(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client with all privileges."""
        with MongoClient[dict[str, Any]](self.uri(*ROOT)) as client:
            yield client


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Run the server."""
    key_file = folder / "keyfile"
    key_file.write_text("c2VjcmV0" * 16)
    key_file.chmod(0o600)
    authority, certificate = certificates(folder)
    (folder / "data").mkdir()
    [port] = free_ports(1)
    options = {
        "dbpath": folder / "data",
        "port": port,
        "bind_ip": "127.0.0.1",
        "replSet": "secured",
        "keyFile": key_file,
        "tlsMode": "requireTLS",
        "tlsCertificateKeyFile": certificate,
        "tlsCAFile": authority,
        "logpath": folder / "mongod.log",
        "wiredTigerCacheSizeGB": 0.25,
        "oplogSize": 100,
    }
    command = [str(find_mongod()), "--tlsAllowConnectionsWithoutCertificates"]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        server = Secured(port, authority)
        assert wait_for(lambda: _initiated(server), START_SECONDS), (folder / "mongod.log").read_text()[-3000:]
        yield server
    finally:
        process.terminate()
        process.wait()


def certificates(folder: Path) -> tuple[Path, Path]:
    """Write the certificate of an authority, and one for 127.0.0.1 that it signed, with its key. Return their paths."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    authority = _certificate(name, name, authority_key, authority_key, None)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mongod")])
    server = _certificate(name, subject, authority_key, server_key, "127.0.0.1")
    paths = folder / "authority.pem", folder / "server.pem"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(authority.public_bytes(pem))
    plain = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(plain + server.public_bytes(pem))
    return paths


def _certificate(
    issuer: x509.Name,
    subject: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    address: str | None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _initiated(server: Secured) -> bool:
    """Initiate the replica set and create its first user, which a server without users allows on localhost."""
    options: dict[str, Any] = {"tls": True, "tlsCAFile": str(server.authority), "timeoutMS": 1000}
    with MongoClient[dict[str, Any]]("127.0.0.1", server.port, directConnection=True, **options) as client:
        try:
            if not client.admin.command("hello").get("setName"):
                members = [{"_id": 0, "host": f"127.0.0.1:{server.port}"}]
                client.admin.command("replSetInitiate", {"_id": "secured", "members": members})
            if not client.admin.command("hello")["isWritablePrimary"]:
                return False
            client.admin.command("createUser", ROOT[0], pwd=ROOT[1], roles=["root"])
        except PyMongoError:
            return False
    return True
