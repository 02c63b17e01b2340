"""What pages for this machine alone are guarded by. Imports nothing of ours.

Such a page listens on loopback. A page of another site may still make a browser send requests here, so
what changes something must name a loopback host (DNS rebinding), come from our own origin, be JSON,
and carry the token that our page was given (OWASP, Cross-Site Request Forgery Prevention).
"""

import secrets
from typing import Final
from urllib.parse import urlsplit

TOKEN_FIELD: Final = "Ogrom-Token"  # noqa: S105 - a field's name
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, no script but our files (W3C, Content Security Policy)."""


def refusal(host: str, method: str, fields: dict[str, str], token: str) -> str:
    """Why a request is refused; empty where it is not.

    Args:
        host: what it says in `Host`.
        method: of the request.
        fields: of its header; names in any case.
        token: what our page was given.
    """
    given = {name.lower(): value for name, value in fields.items()}
    if not is_loopback(host):
        return f"{host} is not this machine."
    if method in {"GET", "HEAD"}:
        return ""
    if given.get("origin", f"http://{host}") != f"http://{host}":
        return "It comes from another site."
    if given.get("sec-fetch-site", "same-origin") != "same-origin":
        return "It comes from another site."
    if given.get("content-type", "").partition(";")[0].strip() != "application/json":
        return "It is not application/json."
    if not secrets.compare_digest(given.get(TOKEN_FIELD.lower(), "").encode(), token.encode()):
        return f"{TOKEN_FIELD} is not that of the page: load it again."
    return ""


def is_loopback(host: str) -> bool:
    """Whether a `Host` names this machine by a name that no name server answers for."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in {"localhost", "::1"} or (
        name.startswith("127.") and name.replace(".", "").isdecimal()
    )
