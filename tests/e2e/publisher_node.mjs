// Publishes once, loses the first answer, and waits for a line on standard input before it tries again.
import { createInterface } from "node:readline";
import { Publisher } from "portward/server";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let lost = false;

async function losing(url, init) {
  const answer = await fetch(url, init);
  if (lost) return answer;
  lost = true;
  await answer.text();
  throw new TypeError("the answer was lost");
}

async function sleep() {
  console.log("lost");
  await lines.next();
}

const publisher = new Publisher(process.env.GATEWAY_ADMIN, process.env.PORTWARD_API_KEY, {
  environment: { fetch: losing, sleep },
});
const { offset } = await publisher.publish("rooms:lobby", "once");
const { publications } = await publisher.history("rooms:lobby");
console.log(JSON.stringify({ offset, said: publications.map(({ data }) => data) }));
process.exit(0);
