"""What AWS asks, in US dollars: one table, to be changed in one place.

us-east-1 (N. Virginia), Linux on ARM, on-demand, no free tier, no savings plan, first price tier;
looked up on 2026-11-24. AWS's own pages have the last word: aws.amazon.com/…/pricing of sqs,
dynamodb (on-demand), lambda, api-gateway (HTTP APIs), fargate and cloudwatch (logs).
"""

from __future__ import annotations

from typing import Final

REGION: Final = "us-east-1"
DATE: Final = "2026-11-24"
MILLION: Final = 1_000_000

SQS_REQUEST: Final = 0.40 / MILLION
# A request counts once for each 64 KiB that it carries, begun ones too.
SQS_CHUNK_BYTES: Final = 64 * 1024
WRITE_UNIT: Final = 0.625 / MILLION
READ_UNIT: Final = 0.125 / MILLION
HTTP_API_REQUEST: Final = 1.00 / MILLION
LAMBDA_REQUEST: Final = 0.20 / MILLION
LAMBDA_GB_SECOND: Final = 0.0000133334
FARGATE_VCPU_HOUR: Final = 0.03238
FARGATE_GB_HOUR: Final = 0.00356
LOGS_GB: Final = 0.50
MONTH_HOURS: Final = 730

# Not prices but assumptions: what the machine here cannot tell.
LAMBDA_GB: Final = 0.5
# Two calls to AWS, one after the other, at 5 to 10 ms each, and what is around them.
LAMBDA_SECONDS: Final = 0.025
FARGATE_VCPU: Final = 1.0
FARGATE_GB: Final = 2.0
# How full a service is kept that scales with its backlog.
FARGATE_BUSY: Final = 0.6
