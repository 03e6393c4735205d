/*
 * Node's `ws`, as its readme shows it: every message is serialised once and sent to every client.
 *
 * node ws_server.cjs [check SECRET | echo]
 *   check SECRET  the handshake must carry an HS256 token in `Authorization: Bearer`
 *   echo          a rooms message is parsed and sent back as JSON
 */
"use strict";
const crypto = require("node:crypto");
const http = require("node:http");
const readline = require("node:readline");
const { WebSocketServer, WebSocket } = require("ws");

const [mode, secret] = process.argv.slice(2);

function valid(header) {
  const [head, body, signature] = (header ?? "").replace("Bearer ", "").split(".");
  if (!signature) return false;
  const expected = crypto.createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !crypto.timingSafeEqual(given, expected)) return false;
  if (JSON.parse(Buffer.from(head, "base64url").toString()).alg !== "HS256") return false;
  return JSON.parse(Buffer.from(body, "base64url").toString()).exp > Date.now() / 1000;
}

const server = http.createServer();
const options = { server, perMessageDeflate: false };
if (mode === "check") options.verifyClient = ({ req }) => valid(req.headers.authorization);
const sockets = new WebSocketServer(options);
sockets.on("connection", (socket) => {
  if (mode !== "echo") return;
  socket.on("message", (text) => {
    const { data } = JSON.parse(text.toString());
    const timestamp = Date.now();
    socket.send(JSON.stringify({ type: "message", data: { ...data, timestamp }, timestamp }));
  });
});

async function publish(count, rate, size) {
  const text = Buffer.from("~mark~".padEnd(size, "x"));
  const start = performance.now();
  for (let message = 0; message < count; message++) {
    for (const socket of sockets.clients) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text, { binary: false });
    }
    const wait = start + ((message + 1) * 1000) / rate - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 0)));
  }
  console.log("done");
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [, count, rate, size] = line.split(" ").map(Number);
  publish(count, rate, size);
}).on("close", () => process.exit(0));

server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`ready ${server.address().port}`);
});
