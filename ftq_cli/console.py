"""`ftq console`: the console of an API that asks who one is."""

from __future__ import annotations

import asyncio
import os
import secrets
import webbrowser

import click

from ftq_cli.exits import CommandError, Exit
from ftq_cli.speaking import api_option


@click.command()
@api_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True,
    help="Where it listens on this machine; 0 takes any free port.",
)  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def console(api: str, port: int, opens: bool) -> int:
    """Show the API's console here, asking as you.

    For an API behind IAM, or one that wants a token: browsers do not sign requests. It listens on
    this machine alone, until Ctrl-C, and opens to who knows the address that it prints.
    """
    from ftq.errors import SettingsError
    from ftq_cli.__main__ import run
    from ftq_cli.front import Front
    from ftq_cli.identity import identity
    from ftq_cli.listening import Place

    try:
        front = Front(api, identity(api, os.environ), secrets.token_urlsafe(24))
    except SettingsError as error:
        raise CommandError(str(error), Exit.USAGE) from error

    async def serve() -> int:
        from aiohttp import web

        from ftq_cli.door import Door, Gateway
        from ftq_cli.speaking import terminal

        place = Place(port=port)
        with place.bound() as listening:
            gateway = Gateway(front.answer, names=place.names)
            runner = web.ServerRunner(Door(gateway), handle_signals=False, shutdown_timeout=1)
            await runner.setup()
            try:
                await web.SockSite(runner, listening).start()
                url = place.url(int(listening.getsockname()[1])) + front.entrance
                terminal(stderr=True).print(f"The console of {api}; Ctrl-C ends it", markup=False)
                click.echo(url)
                if opens:
                    await asyncio.to_thread(webbrowser.open, url)
                await asyncio.get_running_loop().create_future()
            finally:
                await runner.cleanup()
                await front.close()
        return Exit.DONE

    return run(serve(), stopped=Exit.DONE)
