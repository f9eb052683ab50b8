// sqs-consumer (Node): batches of ten, each deleted with one call once handled; several at once.
import { appendFileSync } from "node:fs";

import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const sqs = new SQSClient({ endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION });
for (let each = 0; each < 4; each += 1) {
  const consumer = Consumer.create({
    queueUrl: process.env.FTQ_QUEUE_URL,
    sqs,
    batchSize: 10,
    visibilityTimeout: 60,
    waitTimeSeconds: 20,
    handleMessageBatch: async (messages) => {
      for (const message of messages) {
        const { number } = JSON.parse(message.Body);
        if (process.env.BENCH_EFFECTS) appendFileSync(process.env.BENCH_EFFECTS, `${number}\n`);
      }
      return messages;
    },
  });
  consumer.on("error", (error) => console.error(error));
  consumer.on("processing_error", (error) => console.error(error));
  consumer.start();
}
