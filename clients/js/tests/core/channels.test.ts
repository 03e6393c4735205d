import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { LiveClient, type RoomsClient } from "../../src/index.js";
import { settle } from "../helpers/fake.js";
import { message, setUp, up } from "../helpers/rooms.js";
import { opened, wired } from "../helpers/wire.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** How many ids a client knows, whether or not their channels are there still. */
function known(client: RoomsClient | LiveClient): number {
  const { _known } = ("_rooms" in client ? client._rooms : client._topics) as unknown as {
    _known: ReadonlyMap<string, unknown>;
  };
  return _known.size;
}

/** Visits many ids, each in a task of its own, and lets what nobody holds go now and then. */
async function visit(count: number, one: (id: string) => unknown): Promise<void> {
  for (let n = 0; n < count; n++) {
    await one(`visited-${n}`);
    if (n % 50 === 49) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
  }
}

/** Rooms that are joined and left, looked at, or listened to for a while, are forgotten. */
test.each<[string, (client: RoomsClient, id: string) => unknown]>([
  ["looked at", (client, id) => client.room(id).state],
  [
    "joined and left",
    async (client, id) => {
      const room = client.room(id, { getState: () => undefined });
      await room.join();
      await room.leave();
    },
  ],
  [
    "listened to",
    (client, id) => {
      const room = client.room(id);
      room.on("message", () => undefined)();
      room.presence.subscribe(() => undefined)();
    },
  ],
  [
    "read by an iterator",
    async (client, id) => {
      await client.room(id)[Symbol.asyncIterator]().return?.();
    },
  ],
  ["refused", (client, id) => client.room(id).send("hi")],
  [
    "given up",
    (client, id) =>
      client
        .room(id)
        .join({ signal: AbortSignal.abort() })
        .catch(() => undefined),
  ],
])("rooms that are %s", async (_name, one) => {
  const { world, server, client } = setUp();
  const connected = client.connect();
  await up(world, server);
  await connected;
  await visit(1000, (id) => one(client, id));
  expect(known(client)).toBeLessThan(250);
  expect(client._rooms._used.size).toBeLessThan(250);
  await client.close();
});

/** Topics that are closed are forgotten. */
test("topics", async () => {
  const { world, options } = wired(({ type, topic, id }, socket) => {
    const position = { offset: 0, epoch: "e1" };
    if (type === "subscribe") socket.say({ type: "subscribed", topic, id, snapshot: [], position });
  });
  const client = new LiveClient("wss://host", options);
  const held = client.topic("held");
  await opened(world);
  await visit(1000, async (name) => {
    const topic = client.topic(name, { getState: () => undefined });
    await topic.ready();
    topic.close();
  });
  expect(known(client)).toBeLessThan(250);
  expect(client.topic("held")).toBe(held);
  await client.close();
});

/** A room in use is the same object for ever, although only the client holds it. */
test.each<[string, (client: RoomsClient) => unknown]>([
  ["joined", (client) => client.room("used").join()],
  ["being joined", (client) => void client.room("used").join()],
  ["listened to", (client) => client.room("used").on("message", () => undefined)],
  ["watched", (client) => client.room("used").presence.subscribe(() => undefined)],
  ["iterated", (client) => void client.room("used")[Symbol.asyncIterator]().next()],
  ["given a state", (client) => client.room("used", { getState: () => undefined })],
])("a room that is %s", async (_name, use) => {
  const { world, server, client } = setUp();
  const connected = client.connect();
  await up(world, server);
  await connected;
  const marks = new WeakSet();
  await (async () => {
    await use(client);
    marks.add(client.room("used"));
  })();
  await visit(500, (id) => client.room(id));
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(marks.has(client.room("used"))).toBe(true);
  await client.close();
});

/** A room that the application holds is the same object, and works when it is joined late. */
test("a room that is held", async () => {
  const { world, server, client } = setUp();
  const room = client.room("held");
  await visit(500, (id) => client.room(id));
  expect(client.room("held")).toBe(room);
  const seen: unknown[] = [];
  const joined = room.join();
  await up(world, server);
  await joined;
  await visit(500, (id) => client.room(id));
  room.on("message", ({ content }) => seen.push(content));
  world.socket.say(message(1, "held"));
  expect(seen).toEqual(["text 1"]);
  await client.close();
});

/** The state of those who have left is not read for those who come later. */
test("getState ends with the stay", async () => {
  const { world, server, client } = setUp();
  const read: string[] = [];
  const state = (name: string) => ({ getState: () => read.push(name) });
  const room = client.room("lobby", state("first"));
  const joined = room.join();
  await up(world, server);
  await joined;
  await settle();
  // Somebody else in the room is served by the same state.
  await client.room("lobby").join();
  await room.leave();
  world.socket.say(message(3));
  await settle();
  expect(read).toEqual(["first", "first"]);
  await room.leave();
  // The application that holds the room, and joins again, is in the same place as before.
  await room.join();
  await settle();
  expect(read).toEqual(["first", "first", "first"]);
  await room.leave();
  const gaps: unknown[] = [];
  const later = client.room("lobby");
  later.on("gap", (gap) => gaps.push(gap));
  await later.join();
  world.socket.say(message(9));
  await settle();
  expect([read.length, gaps.length]).toEqual([3, 1]);
  await later.leave();
  await client.room("lobby", state("second")).join();
  await settle();
  expect(read.slice(3)).toEqual(["second"]);
  await client.close();
});

/** The same of a topic that was closed. */
test("getState ends with the topic", async () => {
  const { world, options } = wired(({ type, topic, id }, socket) => {
    const position = { offset: 5, epoch: "e1" };
    if (type === "subscribe") socket.say({ type: "subscribed", topic, id, snapshot: [], position });
  });
  const client = new LiveClient("wss://host", options);
  let reads = 0;
  const topic = client.topic("event:1", { getState: () => reads++ });
  await opened(world);
  await topic.ready();
  expect(reads).toBe(1);
  client.topic("event:1").close();
  topic.close();
  await client.topic("event:1").ready();
  expect(reads).toBe(1);
  await client.close();
});

/** An answer to a join of a room that was forgotten meanwhile is followed by leaving it. */
test("a forgotten room is left", async () => {
  const { world, server, client } = setUp();
  const connected = client.connect();
  await up(world, server);
  await connected;
  const position = { offset: 0, epoch: "e1" };
  const data = { roomId: "gone", participants: [], position };
  world.socket.say({ type: "room_joined", id: "77", data, timestamp: 0 });
  expect(world.socket.last("leave")?.["data"]).toEqual({ roomId: "gone" });
  await client.close();
});
