"""Every legal AWS call as a plain value, and every reply read back. No I/O.

* `ftq.wire.item`: the record as a DynamoDB item, both ways.
* `ftq.wire.table`: the statements of PROTOCOL.md and the calls that carry them.
* `ftq.wire.queue`: the SQS calls.
* `ftq.wire.create`: the calls that create table and queues, for local mode and tests.
"""
