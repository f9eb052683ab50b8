"""A stand-in for SQS and DynamoDB that is fast enough to measure workers against.

It checks what a worker's speed depends on (conditions, receipts, visibility, old items) and
little else: the README lists what it does not. It needs nothing of ftq.
"""
