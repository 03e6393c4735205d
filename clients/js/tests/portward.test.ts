import { expect, test } from "vitest";
import { Portward } from "../src/index.js";
import { settle, World } from "./helpers/fake.js";
import { RoomsServer } from "./helpers/rooms.js";

/** Nothing is connected before it is used; what is used shares one question for a token. */
test("one gateway", async () => {
  const world = new World();
  const server = new RoomsServer();
  const reasons: string[] = [];
  const client = new Portward("https://host", {
    environment: world.environment,
    getToken: ({ reason }) => {
      reasons.push(reason);
      return "token";
    },
  });
  const told: unknown[] = [];
  const off = client.on("state", (state, endpoint) => told.push([endpoint, state]));
  const room = client.room("lobby");
  const topic = client.live();
  expect([world.sockets.length, client.alerts(), client.live(), client.room("lobby")]).toEqual([
    0,
    client.alerts(),
    topic,
    room,
  ]);
  void room.join().catch(() => undefined);
  for (const each of [client.alerts(), client.live(), client.relay()]) {
    each.connect().catch(() => undefined);
  }
  await settle();
  expect(world.sockets.map(({ url }) => url).sort()).toEqual([
    "wss://host/alerts?token=token",
    "wss://host/live",
    "wss://host/realtime",
    "wss://host/rooms",
  ]);
  expect(reasons).toEqual(["connect"]);
  const rooms = world.sockets.find(({ url }) => url.endsWith("/rooms"));
  if (rooms) {
    server.attach(rooms);
    server.greet(rooms);
  }
  await settle();
  expect(told).toContainEqual(["rooms", "ready"]);
  off();
  const before = told.length;
  await client.close();
  expect([told.length, world.clock.pending, world.watching]).toEqual([before, 0, 0]);
});

/** A connection that stops is told with its endpoint, also when it was made after listening. */
test("stopped", async () => {
  const world = new World();
  const client = new Portward("wss://host", { environment: world.environment });
  const told: unknown[] = [];
  client.on("stopped", ({ code }, endpoint) => told.push([endpoint, code]));
  void client
    .live()
    .connect()
    .catch(() => undefined);
  await settle();
  world.socket.drop(3503, "force disconnect");
  expect(told).toEqual([["live", "force disconnect"]]);
  await client.close();
});
