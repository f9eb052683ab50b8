"""A handler that says something, and gives up."""

from __future__ import annotations

import logging

from ftq import Registry, Reject

registry = Registry()


@registry.handler("shop.order")
async def order(_: object) -> None:
    logging.getLogger("shop").warning("looking at it")
    raise Reject("no such item")
