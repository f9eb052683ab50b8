"""The long-running worker: takes messages from SQS, runs handlers, writes verdicts."""
