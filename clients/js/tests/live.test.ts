import { expect, test } from "vitest";
import { LiveClient } from "../src/index.js";
import type { LiveOptions } from "../src/index.js";
import { settle } from "./helpers/fake.js";
import { type Frame, opened, wired } from "./helpers/wire.js";

/** A client, and a server that tells of every topic what the test says. */
function setUp(more: LiveOptions = {}) {
  const topic: { snapshot: Frame[]; position: Frame; refuse: Frame | undefined } = {
    snapshot: [],
    position: { offset: 0, epoch: "e1" },
    refuse: undefined,
  };
  const { world, options } = wired((frame, socket) => {
    const { type, id } = frame;
    if (type === "ping") socket.say({ type: "pong" });
    if (type !== "subscribe") return;
    const { snapshot, position, refuse } = topic;
    if (refuse) socket.say({ type: "error", message: "no", topic: frame["topic"], id, ...refuse });
    else socket.say({ type: "subscribed", topic: frame["topic"], id, snapshot, position });
  });
  return { world, topic, client: new LiveClient("wss://host", { ...options, ...more }) };
}

const entry = (offset: number, key: string): Frame => ({ key, data: offset, ts: 0, offset });
const data = (offset: number, key?: string): Frame => ({
  type: "data",
  topic: "event:42",
  ...(key !== undefined && { key }),
  data: offset,
  ts: 0,
  offset,
});

/** A topic has its snapshot, which follows what comes and keeps its identity otherwise. */
test("snapshot", async () => {
  const { world, client, topic: server } = setUp();
  server.snapshot = [entry(3, "score")];
  server.position = { offset: 4, epoch: "e1" };
  const topic = client.topic("event:42");
  expect(client.topic("event:42")).toBe(topic);
  await opened(world);
  await topic.ready();
  expect([...topic.snapshot.values()]).toEqual([{ ...entry(3, "score"), topic: "event:42" }]);
  const before = topic.snapshot;
  world.socket.say(data(5));
  expect(topic.snapshot).toBe(before);
  world.socket.say(data(6, "score"));
  world.socket.say(data(6, "score"));
  expect(topic.snapshot.get("score")?.data).toBe(6);
  topic.close();
  expect(world.socket.all("unsubscribe")).toEqual([]);
  topic.close();
  topic.close();
  expect(world.socket.all("unsubscribe")).toEqual([{ type: "unsubscribe", topic: "event:42" }]);
  await client.close();
  expect([world.clock.pending, world.watching]).toEqual([0, 0]);
});

/** After a break what the snapshot holds is given; what it does not is a gap, or a reason for the state. */
test.each([
  ["all of it", [entry(6, "b"), entry(5, "a")], { offset: 6, epoch: "e1" }, [5, 6]],
  ["nothing new", [entry(4, "a")], { offset: 4, epoch: "e1" }, []],
  ["a part", [entry(6, "b")], { offset: 6, epoch: "e1" }, ["gap 4-6"]],
  ["another life", [entry(1, "b")], { offset: 1, epoch: "e2" }, ["gap 4-1"]],
])("after a break: %s", async (_, snapshot, position, expected) => {
  const { world, client, topic: server } = setUp();
  server.position = { offset: 3, epoch: "e1" };
  const topic = client.topic("event:42");
  await opened(world);
  const told: unknown[] = [];
  topic.on("gap", ({ from, to }) => told.push(`gap ${from?.offset ?? ""}-${to?.offset ?? ""}`));
  world.socket.say(data(4, "a"));
  topic.on("data", ({ offset }) => told.push(offset));
  Object.assign(server, { snapshot, position });
  world.socket.drop();
  await world.go(500);
  await opened(world);
  expect(told).toEqual(expected);
  await client.close();
});

/** With a state it is read from the position, at first and when something is missing. */
test("getState", async () => {
  const { world, client, topic: server } = setUp();
  const positions: number[] = [];
  const topic = client.topic("event:42", {
    getState: ({ position }) => positions.push(position.offset),
  });
  const told: unknown[] = [];
  topic.on("gap", (gap) => told.push(gap));
  await opened(world);
  server.position = { offset: 9, epoch: "e1" };
  world.socket.drop();
  await world.go(500);
  await opened(world);
  expect([positions, told]).toEqual([[0, 9], []]);
  await client.close();
});

/** A topic that is not open is told once, ends its iteration, and is not asked for again. */
test.each(["forbidden", "limit"])("refused: %s", async (code) => {
  const { world, client, topic: server } = setUp();
  server.refuse = { code };
  const topic = client.topic("event:42");
  const told: unknown[] = [];
  topic.on("forbidden", (error) => told.push(error.code));
  const ready = topic.ready();
  await opened(world);
  await expect(ready).rejects.toMatchObject({ code });
  expect(told).toEqual([code]);
  world.socket.drop();
  await world.go(500);
  await opened(world);
  expect(world.socket.all("subscribe")).toEqual([]);
  server.refuse = undefined;
  // Whoever asks for it anew tries anew.
  client.topic("event:42");
  await topic.ready();
  world.socket.say({ type: "error", code: "forbidden", message: "no", topic: "event:42" });
  expect([told.length, topic.subscribed]).toEqual([2, false]);
  await client.close();
});

/** What passes is asked for again after its time. */
test.each([
  { code: "unavailable", retryMs: 1000 },
  { code: "limit", retryMs: 1000 },
])("later: %j", async (refuse) => {
  const { world, client, topic: server } = setUp();
  server.refuse = refuse;
  const topic = client.topic("event:42");
  await opened(world);
  server.refuse = undefined;
  await world.go(999);
  expect(topic.subscribed).toBe(false);
  await world.go(500);
  expect(topic.subscribed).toBe(true);
  await client.close();
});

/**
 * A browser that is not logged in sees handshakes that never open: after five the client stops, until the
 * application calls `connect`, as `online` by itself does not begin anew.
 */
test.each([undefined, 2])("handshakes that never open: %s", async (maxHandshakes) => {
  const { world, client } = setUp(maxHandshakes === undefined ? {} : { maxHandshakes });
  const topic = client.topic("event:42");
  const ready = topic.ready().catch((error: unknown) => error);
  const stopped: unknown[] = [];
  client.on("stopped", ({ code }) => stopped.push(code));
  await settle();
  world.onSocket = (socket) => {
    queueMicrotask(() => {
      socket.drop();
    });
  };
  world.socket.drop();
  await world.go(3_600_000);
  expect([world.sockets.length, stopped, client.state]).toEqual([
    maxHandshakes ?? 5,
    ["handshake"],
    "stopped",
  ]);
  expect(await ready).toMatchObject({ code: "handshake" });
  world.page("online");
  await world.go(60_000);
  expect(client.state).toBe("stopped");
  world.onSocket = (socket) => {
    socket.reply = ({ type, topic: name, id }) => {
      const position = { offset: 0, epoch: "e1" };
      if (type === "subscribe")
        socket.say({ type: "subscribed", topic: name, id, snapshot: [], position });
    };
  };
  const connected = client.connect();
  await opened(world);
  await connected;
  expect([client.state, topic.subscribed]).toEqual(["ready", true]);
  await client.close();
});

/** One that opened begins the count anew; a terminal code stops at once, also right after opening. */
test("what is counted", async () => {
  const { world, client } = setUp();
  client.topic("event:42");
  for (let round = 0; round < 3; round++) {
    await settle();
    for (let n = 0; n < 4; n++) {
      world.socket.drop();
      await world.go(world.clock.next ?? 0);
    }
    await opened(world);
    expect(client.state).toBe("ready");
    world.socket.drop();
    await world.go(world.clock.next ?? 0);
  }
  await opened(world);
  world.socket.drop(3500, "invalid token");
  await world.go(3_600_000);
  expect(client.state).toBe("stopped");
  await client.close();
});

/** In Node the status of a refused login stops at once. */
test("status 401", async () => {
  const { world, client } = setUp();
  client.topic("event:42");
  await settle();
  world.socket.drop(1006, "", { status: 401 });
  expect([client.state, client.error?.name]).toEqual(["stopped", "UnauthorizedError"]);
  await client.close();
});
