"""Certificates for servers on 127.0.0.1, signed by an authority that nobody knows."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """Files: the authority's certificate, and one for a server with its key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(directory: Path) -> Certificates:
    """Make an authority, and a certificate for 127.0.0.1."""
    program = shutil.which("openssl")
    if program is None:
        raise AssertionError("openssl is not installed: apt-get install openssl")
    made = Certificates(*(directory / name for name in ("ca.pem", "server.pem", "server.key")))
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    new = [program, "req", "-x509", "-nodes", "-days", "2", *kind]
    authority_key = directory / "ca.key"
    commands = [
        [*new, "-subj", "/CN=authority", "-keyout", f"{authority_key}", "-out", f"{made.authority}"],
        [
            *(*new, "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{made.key}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-CA", f"{made.authority}", "-CAkey", f"{authority_key}", "-out", f"{made.certificate}"),
        ],
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    return made
