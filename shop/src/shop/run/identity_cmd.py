"""`shop identity`: the stand-in for the identity API, as a server."""

import sys

import click


@click.command("identity")
@click.option("--port", default=8090, show_default=True, help="The port, on loopback.")
def identity(port: int) -> None:
    """A stand-in for the identity API, with the demo users. Only for trying out."""
    from aiohttp import web

    from shop.run.identity import SECRET, stand_in
    from shop.sources.demo import demo_users

    print(
        f"A stand-in, for trying out: OGROM_USERS=http://127.0.0.1:{port} OGROM_USERS_TOKEN={SECRET}",
        file=sys.stderr,
        flush=True,
    )
    web.run_app(stand_in(demo_users()), host="127.0.0.1", port=port, print=None)
