"""``python -m examples.thumbnails``: pictures made small on all cores, and one that is broken."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from examples.stage import stage
from examples.thumbnails.handlers import Picture, shrink
from examples.thumbnails.pictures import draw

COUNT = 8


def main() -> int:
    """Make some pictures small; 0 if all of it came to its end."""
    with TemporaryDirectory() as folder, stage("examples.thumbnails.handlers:registry") as it:
        sources = draw(Path(folder), COUNT)
        ids = {
            it.client.submit(shrink, Picture(source=each, target=each.with_suffix(".jpg"))).id: (
                each.name
            )
            for each in sources
        }
        tasks = it.follow(ids, "Thumbnails, made in processes")
        before = sum(each.stat().st_size for each in sources)
        after = sum(each.stat().st_size for each in Path(folder).glob("*.jpg"))
        it.console.print(f"{before:,} bytes of pictures became {after:,} bytes of thumbnails.")
    ended = [task.state for task in tasks]
    return 0 if (ended.count("succeeded"), ended.count("dead")) == (COUNT, 1) else 1


if __name__ == "__main__":
    raise SystemExit(main())
