import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { NodeWebSocket, retryAfter } from "../src/node/index.js";
import { RoomsClient } from "../src/index.js";
import type { SocketEvent } from "../src/types.js";

const servers: Server[] = [];

/** A server of HTTP on this machine; its address. */
async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** How a handshake ends. */
function ended(url: string): Promise<SocketEvent> {
  const socket = new NodeWebSocket(url);
  return new Promise((resolve) => {
    socket.onclose = resolve;
  });
}

/** A refused handshake shows its status and the time it names; a browser would show neither. */
test.each([
  [503, { "Retry-After": "7" }, { status: 503, retryAfterMs: 7000 }],
  [401, {}, { status: 401 }],
  [429, { "Retry-After": "soon" }, { status: 429 }],
  [302, { Location: "/" }, { status: 302 }],
])("status %d", async (status, headers, expected) => {
  const server = createServer((_, response) => response.writeHead(status, headers).end());
  const event = await ended(await listening(server));
  expect(event).toMatchObject({ code: 1006, ...expected });
  expect(event.retryAfterMs).toBe((expected as SocketEvent).retryAfterMs);
});

/** Where nobody listens the socket closes with 1006, and nothing is thrown. */
test("nobody listens", async () => {
  const server = createServer();
  const url = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  expect(await ended(url)).toMatchObject({ code: 1006 });
});

/** Texts and bytes go both ways, headers arrive, and the close has its code and reason. */
test("a connection", async () => {
  const server = createServer();
  const url = await listening(server);
  new WebSocketServer({ server }).on("connection", (socket, { headers }) => {
    socket.send(String(headers.authorization));
    socket.on("message", (data, binary) => {
      socket.send(data, { binary });
      if (binary) socket.close(3001, "shutdown");
    });
  });
  const socket = new NodeWebSocket(url, [], { headers: { Authorization: "Bearer t" } });
  socket.binaryType = "arraybuffer";
  const told: unknown[] = [];
  socket.onmessage = ({ data }: SocketEvent) => told.push(data);
  socket.onopen = () => {
    socket.send("text");
    socket.send(new Uint8Array([1, 2]));
  };
  const { code, reason } = await new Promise<SocketEvent>((resolve) => {
    socket.onclose = resolve;
  });
  expect([code, reason]).toEqual([3001, "shutdown"]);
  expect(told.slice(0, 2)).toEqual(["Bearer t", "text"]);
  expect([...new Uint8Array(told[2] as ArrayBuffer)]).toEqual([1, 2]);
});

/** A client that is closed in the middle of a handshake leaves nothing behind, and no error is thrown. */
test("close during the handshake", async () => {
  const url = await listening(createServer());
  const client = new RoomsClient(url, { WebSocket: NodeWebSocket });
  const connected = client.connect().catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await client.close();
  expect(await connected).toMatchObject({ code: "closed" });
});

/** `Retry-After` is seconds or a date; what is neither is no time. */
test.each([
  ["0", 0],
  ["120", 120_000],
  [new Date(5_000).toUTCString(), 4_000],
  [new Date(0).toUTCString(), 0],
  ["-1", undefined],
  ["1e3", undefined],
  ["", undefined],
  [undefined, undefined],
])("Retry-After: %s", (value, ms) => {
  expect(retryAfter(value, 1_000)).toBe(ms);
});
