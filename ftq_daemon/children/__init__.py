"""Handlers in processes: `pool` and `process` hold them, `program` is what runs there."""
