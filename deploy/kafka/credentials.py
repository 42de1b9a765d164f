"""A certificate and a SCRAM user for a broker that clients reach over SASL_SSL, made anew for each broker."""

import base64
import hashlib
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

MECHANISM = "SCRAM-SHA-512"
_ITERATIONS = 4096  # Kafka's own minimum and default


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to log in: the user, and the certificate it is to trust (PEM)."""

    username: str
    password: str
    certificate: Path
    keystore: Path
    keystore_password: str

    def client_settings(self) -> dict[str, str]:
        """Keyword arguments for the clients of kafka-python."""
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_cafile": str(self.certificate),
        }

    def scram_argument(self) -> str:
        """The user as `kafka-storage format --add-scram` takes it, salted, since others can read a command line."""
        salt = secrets.token_bytes(24)
        salted = hashlib.pbkdf2_hmac("sha512", self.password.encode(), salt, _ITERATIONS)
        salt_text, salted_text = (base64.b64encode(part).decode() for part in (salt, salted))
        details = f'name={self.username},iterations={_ITERATIONS},salt="{salt_text}",saltedpassword="{salted_text}"'
        return f"{MECHANISM}=[{details}]"


def create(directory: Path, java: Path) -> Credentials:
    """Make a self-signed certificate for loopback in `directory`, with the keytool beside `java`."""
    credentials = Credentials(
        username="trueup",
        password=secrets.token_urlsafe(24),
        certificate=directory / "certificate.pem",
        keystore=directory / "keystore.p12",
        keystore_password=secrets.token_urlsafe(24),
    )
    password_file = directory / "keystore.password"
    password_file.touch(mode=0o600)
    password_file.write_text(credentials.keystore_password)
    keytool = java.parent / "keytool"
    store = (
        "-keystore",
        str(credentials.keystore),
        "-storepass:file",
        str(password_file),
        "-alias",
        "broker",
    )
    subject = ("-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-validity", "30")
    key = ("-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12")
    _run(keytool, "-genkeypair", *store, *key, *subject)
    _run(keytool, "-exportcert", "-rfc", *store, "-file", str(credentials.certificate))
    return credentials


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode != 0:
        raise RuntimeError(f"{command[0]} {command[1]} failed, so there is no certificate: {ran.stdout}{ran.stderr}")
