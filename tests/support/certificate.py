"""A server that proves itself by a certificate for 127.0.0.1 that is its own authority."""

import os
import ssl
from pathlib import Path

import databases
import pytest


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The file of the certificate, and what a server proves itself with by it.

    Without openssl the test is skipped, and fails with CI=true.
    """
    try:
        certificate, key = databases.certified(folder)
    except databases.Missing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context
