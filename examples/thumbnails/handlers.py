"""Thumbnails: computing, so in processes, which a timeout or a broken picture may kill."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field

from ftq import Context, Registry

registry = Registry()


class Picture(BaseModel):
    """What to make small, and where to put it."""

    source: Path
    target: Path
    side: int = Field(default=128, ge=16, le=1024)


class Thumbnail(BaseModel):
    """What came of it."""

    width: int
    height: int
    bytes: int
    process: int


@registry.handler(
    "picture.shrink",
    run_in="process",
    timeout=30,
    # What is no picture, or too large to be opened safely, will be so the next time.
    permanent=(UnidentifiedImageError, Image.DecompressionBombError),
)
def shrink(picture: Picture, context: Context) -> Thumbnail:
    """Make it small. The target appears whole or not at all, however often this runs."""
    with Image.open(picture.source) as image:
        image.thumbnail((picture.side, picture.side), Image.Resampling.LANCZOS)
        # A claim that was lost may go on for a moment: each has a file of its own.
        part = picture.target.with_suffix(f".{context.task_id}.{context.claim_no}")
        image.convert("RGB").save(part, "JPEG", quality=85)
    size = part.stat().st_size
    part.replace(picture.target)
    return Thumbnail(width=image.width, height=image.height, bytes=size, process=os.getpid())
