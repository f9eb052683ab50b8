"""Pictures to make small: drawn, so that none has to be brought along."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def draw(folder: Path, count: int, side: int = 1600) -> list[Path]:
    """Draw some, and add a file that is none."""
    paths: list[Path] = []
    for n in range(count):
        left, right = Image.radial_gradient("L"), Image.linear_gradient("L").rotate(n * 30)
        image = Image.merge("RGB", (left, right, left.rotate(90)))
        path = folder / f"picture-{n}.png"
        image.resize((side, side * 3 // 4)).save(path)
        paths.append(path)
    broken = folder / "no-picture.png"
    broken.write_bytes(b"this is no picture")
    return [*paths, broken]
