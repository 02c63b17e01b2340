"""Serving: bytes become a `Request`, a `Response` becomes bytes. Nothing is decided here."""

from ogrom.serve._app import Answering, App, Check, Draining
from ogrom.serve._limits import Limits
from ogrom.serve._listen import ListenError, listen
from ogrom.serve._log import JsonLog, LogHandler, RequestLog, to_stdout
from ogrom.serve._server import serve
from ogrom.serve._ship import EventIds, Shipper
from ogrom.serve._workers import worker
from ogrom.serve.asgi import AsgiApp, asgi

__all__ = [
    "Answering",
    "App",
    "AsgiApp",
    "Check",
    "Draining",
    "EventIds",
    "JsonLog",
    "Limits",
    "ListenError",
    "LogHandler",
    "RequestLog",
    "Shipper",
    "asgi",
    "listen",
    "serve",
    "to_stdout",
    "worker",
]
