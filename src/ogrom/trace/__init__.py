"""Traces: what was decided for a request and why, recorded and shown. Only where somebody switches it on.

    Tracer(service)               in development: every request, and a page at /-/trace
    Guarded(service, secret)      in production: the requests that carry the secret, as JSON

Each is put in the service's place: `App(service=Tracer(service))`.
"""

from ogrom.trace._answers import PREFIX
from ogrom.trace._guarded import FIELD, Guarded
from ogrom.trace._redact import Redactor
from ogrom.trace._ring import Ring
from ogrom.trace._trace import Summary, Trace
from ogrom.trace._tracer import Tracer

__all__ = ["FIELD", "PREFIX", "Guarded", "Redactor", "Ring", "Summary", "Trace", "Tracer"]
