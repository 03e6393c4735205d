"use strict";
// The older client in Node: obeys JSON lines of the standard input and reports JSON lines. The argument is
// the folder of the package `ws`. Ends with its input.
const readline = require("node:readline");
const { createRequire } = require("node:module");

require("./client.js");
require("./timers.js");
require("./orders.js");

const WebSocket = createRequire(`${process.argv[2]}/`)("ws");
const obey = globalThis.takeOrders(WebSocket, (record) => {
  process.stdout.write(`${JSON.stringify(record)}\n`);
});

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => process.exit(0));
