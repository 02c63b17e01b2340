"""Where a client that knows one URL begins."""

from ogrom.http import Context, Resource
from shop.core.caching import HOUR, public


def start(locale: str) -> Resource[None]:
    """The places of one locale."""

    def show(ctx: Context, _: None) -> object:
        return {
            "locale": locale,
            "links": {name: ctx.path_for(name) for name in ("products", "catalogue", "collages")},
        }

    return Resource(name="start", languages=(locale,), cache_control=public(HOUR), handle_ok=show)
