"""Pages of the docs that are written by the code that they are about: `python -m pages`."""
