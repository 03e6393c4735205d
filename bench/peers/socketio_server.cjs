/*
 * Node's socket.io with one room: an emit is encoded once and written to every socket. WebSocket only, no
 * compression. Clients join the room by an event that is acknowledged.
 */
"use strict";
const http = require("node:http");
const readline = require("node:readline");
const { Server } = require("socket.io");

const server = http.createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });
io.on("connection", (socket) => {
  socket.on("join_room", ({ room }, acknowledge) => {
    socket.join(room);
    acknowledge({ joined: room });
  });
});

async function publish(count, rate, size) {
  const data = { action: "tick", payload: "~mark~".padEnd(size, "x"), userId: "bench" };
  const start = performance.now();
  for (let message = 0; message < count; message++) {
    io.to("workspace:bench:dashboard").emit("dashboard_update", data);
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
