"""Who may be anybody: the control API and the login pages answer loopback peers of their own origin only."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

GUARDED = ("/control/", "/connect/oauth2/authorize")


def refusal(request: web.Request) -> str:
    """Why this request may not act in somebody's name; empty when it may.

    The peer must be on this machine; the Host must be a loopback name, or another site could point its own name here
    (DNS rebinding); and a browser's Origin must be the sandbox itself.
    """
    if request.remote and not _loopback(request.remote):
        return "only loopback peers may use this"
    host = urlsplit(f"//{request.host}").hostname or ""
    if not _loopback(host):
        return "the Host must be a loopback name"
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        return "another site may not use this"
    return ""


def _loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return False
