"""Certificates that a client must not trust, made with the ``openssl`` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from modelcall.errors import ConfigError

if TYPE_CHECKING:
    from modelcall.mock.options import Certificate

_OURS, _OTHERS = "IP:127.0.0.1,DNS:localhost", "DNS:other.example"


def server_context(kind: Certificate) -> tuple[ssl.SSLContext, str]:
    """Return a TLS context for the server, and its certificate as PEM for a client that should trust it.

    Raises:
        ConfigError: There is no ``openssl``, or it fails.
    """
    with TemporaryDirectory(prefix="modelcall-tls-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        _make(kind, key, certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context, certificate.read_text(encoding="ascii")


def _make(kind: Certificate, key: Path, certificate: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ConfigError("The embedded server needs the `openssl` command for https.", hint="Install OpenSSL.")
    names = _OTHERS if kind == "wrong_host" else _OURS
    request = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=modelcall embedded server", "-addext", f"subjectAltName={names}"]
    _run([*request, *subject, "-days", "30", "-keyout", str(key), "-out", str(certificate)])
    if kind == "expired":
        # Signed anew for a time that ended yesterday: `req -x509` itself knows no such time before OpenSSL 3.4.
        _run([openssl, "x509", "-in", str(certificate), "-signkey", str(key), "-days", "-1", "-out", str(certificate)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed arguments
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-200:]
        raise ConfigError(f"openssl could not make a certificate: {reason}", hint="Leave https out, or update OpenSSL.")
