// The TypeScript client in Node: obeys JSON lines of the standard input and reports JSON lines. The argument is
// the folder of the built package. Ends with its input, when nothing is left that could run: what the client
// leaves behind after `close` keeps this program alive, and the test that started it fails.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import "./orders.js";

const dist = pathToFileURL(`${process.argv[2]}/dist/esm/`);
const portward = await import(new URL("index.js", dist));
const { WebSocket } = await import(new URL("node/index.js", dist));

// Live takes cookies, which browsers add by themselves.
class Visitor extends WebSocket {
  constructor(url, protocols, options) {
    const { headers } = options ?? {};
    super(url, protocols, { ...options, headers: { ...headers, ...globalThis.visitorHeaders } });
  }
}

const obey = globalThis.makeDriver({
  portward,
  WebSocket: Visitor,
  report: (record) => process.stdout.write(`${JSON.stringify(record)}\n`),
});

createInterface({ input: process.stdin }).on("line", (line) => obey(JSON.parse(line)));
