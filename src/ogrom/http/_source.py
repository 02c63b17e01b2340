"""What one generated function is written on: its lines, and the meanings of the names in them."""

from typing import Any, Final

from ogrom.http._conditional import ETag, format_http_date
from ogrom.http._cors import Cors
from ogrom.http._message import Context, Head, Response
from ogrom.http._parts import CrossOrigin, written
from ogrom.http._resource import Resource
from ogrom.http._resume import Resume
from ogrom.http._walk import Plan, Prepared


class Source:
    """Lines and names. It grows until the function is whole.

    Args:
        prepared: the resource.
        method: the method that the function is for.
    """

    def __init__(self, prepared: Prepared, method: str) -> None:
        self.prepared: Final = prepared
        self.resource: Final[Resource[Any]] = prepared.resource
        self.method: Final = method
        self.plan: Final[Plan] = prepared.plans[method]
        self.parts: Final = Parts.of(prepared)
        """None where the heads are such that they cannot be sent."""
        resume = Resume(prepared)
        self.names: Final[dict[str, Any]] = {
            "Context": Context, "Head": Head, "Response": Response, "NAME": self.resource.name,
            "LANGUAGE": prepared.language, "walk_on": resume.walk_on, "fail": resume.fail,
        }  # fmt: skip
        self._resume: Final = resume
        self.lines: Final[list[str]] = []
        self.known: Final[dict[str, str]] = {"variant": "FAVOURITE", "entity": "None"}
        """The variables that hold what is learnt on the way, and what they begin as."""
        self._learnt = ["request", "ctx", "variant", "entity"]

    def write(self, depth: int, *lines: str) -> None:
        """Adds lines, so deep within the function's `try`."""
        self.lines.extend(f"{'    ' * (depth + 2)}{line}" for line in lines)

    def means(self, **names: Any) -> None:
        """Says what names in the lines stand for."""
        self.names.update(names)

    def learn(self, name: str, start: str) -> None:
        """From here on a variable holds something that the walk has to know."""
        self.known[name] = start
        self._learnt.append(f"{name}={name}")

    @property
    def learnt(self) -> str:
        """The arguments that tell the plain walk what is known here."""
        return ", ".join(self._learnt)

    def leave(self, depth: int, node: str) -> None:
        """Adds the way back to the plain walk, which goes on at a node."""
        self.write(depth, f'return await walk_on("{node}", {self.learnt})')

    def leave_if(self, condition: str, node: str, depth: int = 0) -> None:
        """Adds the way back for one condition."""
        self.write(depth, f"if {condition}:")
        self.leave(depth + 1, node)

    def show(self, depth: int, handler: str) -> None:
        """Adds the way to a response whose value or head is not of the ordinary kind."""
        self.means(show=self._resume.show)
        self.write(depth, f'return await show("{handler}", given, {self.learnt})')


class Parts:
    """What the heads of one resource's 200, 201 and 304 have in common, written once."""

    def __init__(self, resource: Resource[Any], vary: str, cors: Cors | None) -> None:
        cache, tag, changed = resource.cache_control, resource.etag, resource.last_modified
        self.cache = written(("Cache-Control", cache)) if cache is not None else ""
        self.vary = written(("Vary", vary)) if vary else ""
        self.tag = written(("ETag", str(tag))) if isinstance(tag, ETag) else ""
        self.dated = ""
        if changed is not None and not callable(changed):
            self.dated = written(("Last-Modified", format_http_date(changed)))
        everybody = [] if cors is None else cors.everybody()
        self.everybody = written(*everybody) if everybody else ""
        self.cross_origin = None if cors is None or everybody else CrossOrigin(cors)

    @classmethod
    def of(cls, prepared: Prepared) -> "Parts | None":
        """The parts; None where one cannot be sent, which is a 500 that the plain walk explains."""
        try:
            return cls(prepared.resource, prepared.vary, prepared.cors)
        except ValueError:
            return None
