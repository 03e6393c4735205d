import { expect, test } from "vitest";
import type { RoomMessage, StateRequest } from "../../src/types.js";
import { settle } from "../helpers/fake.js";
import { message, setUp, up } from "../helpers/rooms.js";

/** Joins a room with a state of the application, which the test answers. */
async function stateful() {
  const all = setUp();
  const calls: (StateRequest & { done: () => void; fail: () => void })[] = [];
  const room = all.client.room("lobby", {
    getState: (request) =>
      new Promise<void>((done, reject) => {
        calls.push({
          ...request,
          done,
          fail: () => {
            reject(new Error("away"));
          },
        });
      }),
  });
  const seen: number[] = [];
  const gaps: unknown[] = [];
  room.on("message", ({ offset }) => seen.push(offset));
  room.on("gap", (gap) => gaps.push(gap));
  all.server.stand("lobby").offset = 5;
  const joined = room.join();
  await up(all.world, all.server);
  await joined;
  return { ...all, room, calls, seen, gaps };
}

/** The state is read from the position of the join; what comes meanwhile follows, each once, in order. */
test("rule 9: the state comes first", async () => {
  const { world, client, calls, seen, gaps } = await stateful();
  expect(calls.map(({ position }) => position)).toEqual([{ offset: 5, epoch: "e1" }]);
  for (const offset of [6, 7, 7]) world.socket.say(message(offset));
  expect(seen).toEqual([]);
  calls[0]?.done();
  await settle();
  world.socket.say(message(8));
  expect([seen, gaps]).toEqual([[6, 7, 8], []]);
  await client.close();
});

/** A state that cannot be read is read again, later; nothing is lost meanwhile. */
test("rule 9: the state is away", async () => {
  const { world, client, calls, seen } = await stateful();
  calls[0]?.fail();
  await settle();
  world.socket.say(message(6));
  await world.go(500);
  expect(calls).toHaveLength(2);
  calls[1]?.done();
  await settle();
  expect(seen).toEqual([6]);
  await client.close();
  expect(world.clock.pending).toBe(0);
});

/** More than a thousand messages while the state is read: it is read again, from a later place. */
test("rule 9: the state is slow", async () => {
  const { world, client, calls, seen } = await stateful();
  for (let offset = 6; offset <= 1007; offset++) world.socket.say(message(offset));
  expect(calls.map(({ position, signal }) => [position.offset, signal.aborted])).toEqual([
    [5, true],
    [1006, false],
  ]);
  calls[0]?.done();
  await settle();
  expect(seen).toEqual([]);
  calls[1]?.done();
  await settle();
  expect(seen).toEqual([1007]);
  await client.close();
});

/** A break while the state is read aborts it, and it is read anew from the next join. */
test("rule 9: a break during the state", async () => {
  const { world, server, client, calls, seen } = await stateful();
  world.socket.say(message(6));
  world.socket.drop();
  expect(calls[0]?.signal.aborted).toBe(true);
  server.stand("lobby").offset = 9;
  await world.go(500);
  await up(world, server);
  expect(world.socket.last("join")?.["data"]).toEqual({ rooms: [{ roomId: "lobby" }] });
  calls[0]?.done();
  await settle();
  expect(calls[1]?.position).toEqual({ offset: 9, epoch: "e1" });
  world.socket.say(message(10));
  calls[1]?.done();
  await settle();
  expect(seen).toEqual([10]);
  await client.close();
});

/** When recovery says no, or the epoch is another, the state is read again and no gap is told. */
test.each(["not recovered", "another epoch"])("rule 9: %s, with a state", async (why) => {
  const { world, server, client, calls, gaps } = await stateful();
  calls[0]?.done();
  await settle();
  server.recovers = why !== "not recovered";
  server.rooms.set("lobby", { offset: 40, epoch: why === "another epoch" ? "e2" : "e1" });
  world.socket.drop();
  await world.go(500);
  await up(world, server);
  expect(calls).toHaveLength(2);
  expect([calls[1]?.position.offset, gaps]).toEqual([40, []]);
  await client.close();
});

/** Without a state one gap is told, from the last message to where messages go on. */
test.each(["not recovered", "another epoch"])("rule 9: %s, without a state", async (why) => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  const told: unknown[] = [];
  room.on("gap", (gap) => told.push(gap));
  room.on("message", ({ offset }) => told.push(offset));
  void room.join();
  await up(world, server);
  world.socket.say(message(1));
  const epoch = why === "another epoch" ? "e2" : "e1";
  server.recovers = why === "another epoch";
  server.rooms.set("lobby", { offset: 40, epoch });
  world.socket.drop();
  await world.go(500);
  await up(world, server);
  world.socket.say(message(41));
  expect(told).toEqual([
    1,
    { channel: "lobby", from: { offset: 1, epoch: "e1" }, to: { offset: 40, epoch } },
    41,
  ]);
  await client.close();
});

/** A missing offset is a gap, unless the server says that it left messages out. */
test("rule 9: a missing offset", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  const told: unknown[] = [];
  room.on("gap", ({ from, to }) => told.push([from?.offset, to?.offset]));
  room.on("message", ({ offset }) => told.push(offset));
  void room.join();
  await up(world, server);
  for (const [offset, more] of [[1], [4], [3], [9, { suppressed: 4 }], [9], [10]] as const) {
    world.socket.say(message(offset, "lobby", more));
  }
  expect(told).toEqual([1, [1, 3], 4, 9, 10]);
  await client.close();
});

/** A room that the server lost count of is joined again from its place. */
test.each(["insufficient_state", "unavailable"])("room_left: %s", async (reason) => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  const left: unknown[] = [];
  room.on("left", (event) => left.push(event));
  void room.join();
  await up(world, server);
  world.socket.say(message(1));
  world.socket.say({ type: "room_left", data: { roomId: "lobby", reason } });
  expect(room.state).toBe("joining");
  server.recovers = false;
  server.stand("lobby").offset = 1;
  await world.go(500);
  expect(world.socket.last("join")?.["data"]).toEqual({
    rooms: [{ roomId: "lobby", since: { offset: 1, epoch: "e1" } }],
  });
  expect([room.state, left]).toEqual(["in", []]);
  await client.close();
});

/** Any other removal is told, ends the iteration with its code, and is not undone by a reconnect. */
test.each(["kicked", "permission_denied", "unsubscribed"])("room_left: %s", async (reason) => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  const left: unknown[] = [];
  room.on("left", (event) => left.push(event));
  void room.join();
  await up(world, server);
  const reading = (async () => {
    for await (const each of room) expect(each).toBeDefined();
  })().catch((error: unknown) => error);
  world.socket.say({ type: "room_left", data: { roomId: "lobby", reason } });
  expect(await reading).toMatchObject({ code: reason });
  expect([room.state, left]).toEqual(["out", [{ roomId: "lobby", code: reason }]]);
  world.socket.drop();
  await world.go(500);
  await up(world, server);
  expect(world.socket.all("join")).toHaveLength(0);
  await client.close();
});

/** An iterator gives what comes, in order; one that is not read ends with an overflow. */
test("iterators", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  void room.join();
  await up(world, server);
  const slow = room[Symbol.asyncIterator]();
  const quick = room[Symbol.asyncIterator]();
  const first = quick.next();
  for (let offset = 1; offset <= 1001; offset++) world.socket.say(message(offset));
  expect(((await first).value as RoomMessage).offset).toBe(1);
  const seen: number[] = [];
  const error: unknown = await (async () => {
    for await (const { offset } of { [Symbol.asyncIterator]: () => slow }) seen.push(offset);
    return undefined;
  })().catch((each: unknown) => each);
  expect([seen.length, seen.at(-1)]).toEqual([1000, 1000]);
  expect(error).toMatchObject({ name: "OverflowError", code: "overflow" });
  await quick.return?.();
  expect(await quick.next()).toEqual({ done: true, value: undefined });
  await client.close();
});

/** The last user of a room leaves; those before do not, and two that mount together open one socket. */
test("uses", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  // What React's StrictMode does.
  const first = room.join().catch((error: unknown) => error);
  void room.leave();
  void room.join();
  void room.join();
  await up(world, server);
  expect(await first).toMatchObject({ code: "left" });
  expect([world.sockets.length, world.socket.all("join").length]).toEqual([1, 1]);
  await room.leave();
  expect([room.state, world.socket.all("leave").length]).toEqual(["in", 0]);
  await room.leave();
  await room.leave();
  expect([room.state, world.socket.all("leave").length]).toEqual(["out", 1]);
  for (let n = 0; n < 100; n++) {
    await room.join();
    await room.leave();
  }
  expect(world.socket.all("join")).toHaveLength(101);
  await client.close();
});

/** 300 rooms are joined again with three messages; failures are retried or told, each for itself. */
test("many rooms", async () => {
  const { world, server, client } = setUp();
  const rooms = Array.from({ length: 300 }, (_, n) => client.room(`r${n}`));
  for (const room of rooms) void room.join();
  await up(world, server);
  world.socket.drop();
  server.failures.set("r7", { code: "unavailable", retryAfterMs: 1000 });
  server.failures.set("r8", { code: "room_full" });
  server.failures.set("r9", { code: "internal" });
  const left: unknown[] = [];
  rooms[8]?.on("left", (event) => left.push(event));
  await world.go(500);
  await up(world, server);
  expect(world.socket.all("join")).toHaveLength(3);
  expect(rooms.filter((room) => room.state === "in")).toHaveLength(297);
  server.failures.clear();
  await world.go(2000);
  expect(rooms.filter((room) => room.state !== "in")).toEqual([rooms[8]]);
  expect(left).toEqual([{ roomId: "r8", code: "room_full" }]);
  await client.close();
});

/** Presence follows what the server says, and keeps its identity while nothing changes. */
test("presence", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  void room.join();
  await up(world, server);
  const { presence } = room;
  const before = presence.users;
  let changes = 0;
  const off = presence.subscribe(() => changes++);
  const say = (type: string, userId: string): void => {
    world.socket.say({ type, data: { roomId: "lobby", userId } });
  };
  say("user_joined", "bob");
  expect(presence.users).toBe(before);
  say("user_joined", "cat");
  say("user_left", "bob");
  say("user_disconnected", "nobody");
  expect([presence.users, presence.has("bob"), changes]).toEqual([["ann", "cat"], false, 2]);
  off();
  world.socket.drop();
  expect(presence.users).toEqual(["ann", "cat"]);
  await world.go(500);
  await up(world, server);
  expect([presence.users, changes]).toEqual([["ann", "bob"], 2]);
  await client.close();
  expect(presence.users).toEqual([]);
});

/** The other requests of a room carry what was asked, and answer with what the server said. */
test("history, kick, permissions, typing", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  void room.join();
  await up(world, server);
  const page = await room.history({ limit: 2, since: { offset: 3, epoch: "e1" } });
  expect(page).toMatchObject({ messages: [], position: { offset: 7, epoch: "e1" } });
  await room.kick("bob");
  await room.setPermissions({ read: ["user"] });
  for (const active of [true, true, false, true]) room.typing(active);
  expect(world.socket.all("history")[0]?.["data"]).toEqual({
    roomId: "lobby",
    limit: 2,
    since: { offset: 3, epoch: "e1" },
  });
  expect(world.socket.last("kick")?.["data"]).toEqual({ roomId: "lobby", userId: "bob" });
  expect(world.socket.last("set_permissions")?.["data"]).toEqual({
    roomId: "lobby",
    permissions: { read: ["user"] },
  });
  expect(world.socket.all("typing")).toHaveLength(3);
  await client.close();
});
