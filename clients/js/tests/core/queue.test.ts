import { expect, test } from "vitest";
import { settle } from "../helpers/fake.js";
import { setUp, up } from "../helpers/rooms.js";

/** A client with one room that it is in. */
async function inRoom(options = {}) {
  const all = setUp(options);
  const room = all.client.room("lobby");
  const joined = room.join();
  await up(all.world, all.server);
  await joined;
  return { ...all, room };
}

/** What was not written waits for the next connection; what was written and not answered is unknown. */
test("rule 7: a break", async () => {
  const { world, server, client, room } = await inRoom();
  server.acks = false;
  const written = room.send("written");
  world.socket.drop();
  const waiting = room.send("waiting");
  expect(await written).toEqual({ status: "unknown" });
  server.acks = true;
  await world.go(500);
  await up(world, server);
  expect(await waiting).toMatchObject({ status: "stored" });
  const contents = world.sockets.map((socket) =>
    socket.all("message").map((frame) => (frame["data"] as { content: string }).content),
  );
  expect(contents).toEqual([["written"], ["waiting"]]);
  await client.close();
});

/** A message that waits is written after its room was joined again, not before. */
test("rule 7: the room comes first", async () => {
  const { world, server, client, room } = await inRoom();
  server.failures.set("lobby", { code: "unavailable", retryAfterMs: 1000 });
  world.socket.drop();
  const sent = room.send("hi");
  await world.go(500);
  await up(world, server);
  expect([client.state, room.state, world.socket.all("message").length]).toEqual([
    "ready",
    "joining",
    0,
  ]);
  server.failures.clear();
  await world.go(2000);
  expect(await sent).toMatchObject({ status: "stored" });
  await client.close();
});

/** A room that refuses to be joined again refuses what waits for it, and says so once. */
test("rule 7: the room is closed", async () => {
  const { world, server, client, room } = await inRoom();
  const left: unknown[] = [];
  room.on("left", (event) => left.push(event));
  server.failures.set("lobby", { code: "permission_denied" });
  world.socket.drop();
  const sent = room.send("hi");
  await world.go(500);
  await up(world, server);
  expect(await sent).toEqual({ status: "refused", code: "permission_denied", temporary: false });
  expect([left, room.state, room.presence.users]).toEqual([
    [{ roomId: "lobby", code: "permission_denied" }],
    "out",
    [],
  ]);
  await client.close();
});

/** The queue is bounded by number and by size; over it a message is refused at once. */
test.each([{ messages: 3 }, { bytes: 500 }])("rule 7: full: %j", async (queue) => {
  const { world, client, room } = await inRoom({ queue });
  world.socket.drop();
  const results: unknown[] = [];
  for (let n = 0; n < 10; n++) {
    void room.send("x".repeat(60)).then((result) => results.push(result));
  }
  await settle();
  expect(results.length).toBeGreaterThanOrEqual(6);
  expect(results[0]).toEqual({ status: "refused", code: "queue_full", temporary: true });
  await client.close();
  await settle();
  expect(results).toHaveLength(10);
  expect(results.at(-1)).toMatchObject({ status: "refused", code: "closed" });
});

/** While the socket holds much back, messages wait in the queue. */
test("rule 7: a slow network", async () => {
  const { world, client, room } = await inRoom();
  world.socket.bufferedAmount = 100_000;
  const sent = room.send("hi");
  await world.go(1000);
  expect(world.socket.all("message")).toHaveLength(0);
  world.socket.bufferedAmount = 0;
  await world.go(100);
  expect(await sent).toMatchObject({ status: "stored" });
  await client.close();
  expect(world.clock.pending).toBe(0);
});

/** No answer in time is unknown; an error of the server is a refusal with all it says. */
test("rule 7: how a send settles", async () => {
  const { world, server, client, room } = await inRoom();
  server.acks = false;
  const silent = room.send("hi");
  await world.go(10_000);
  expect(await silent).toEqual({ status: "unknown" });
  const refused = room.send("hi");
  const { id } = world.socket.last("message") as { id: string };
  world.socket.say({
    type: "error",
    id,
    data: { message: "Rate limit exceeded", code: "rate_limited", retryAfterMs: 840 },
  });
  expect(await refused).toEqual({
    status: "refused",
    code: "rate_limited",
    temporary: true,
    retryAfterMs: 840,
  });
  expect(await client.room("never joined").send("hi")).toMatchObject({ code: "room_not_found" });
  await client.close();
  expect(await room.send("hi")).toMatchObject({ status: "refused" });
});

/** A signal gives up: what waits is refused as aborted, what was written is unknown. */
test("signals", async () => {
  const { world, server, client, room } = await inRoom();
  const listening = new Set<unknown>();
  const aborting = (): AbortController => {
    const abort = new AbortController();
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...all: Parameters<typeof add>) => {
      listening.add(all[1]);
      add(...all);
    };
    signal.removeEventListener = (...all: Parameters<typeof remove>) => {
      listening.delete(all[1]);
      remove(...all);
    };
    return abort;
  };
  server.acks = false;
  const [written, waiting, never, joining] = [aborting(), aborting(), aborting(), aborting()];
  const first = room.send("hi", { signal: written.signal });
  written.abort();
  expect(await first).toEqual({ status: "unknown" });
  world.socket.drop();
  const second = room.send("hi", { signal: waiting.signal });
  waiting.abort();
  expect(await second).toMatchObject({ status: "refused", code: "aborted" });
  never.abort();
  expect(await room.send("hi", { signal: never.signal })).toMatchObject({ code: "aborted" });
  const join = client.room("other").join({ signal: joining.signal });
  joining.abort();
  await expect(join).rejects.toMatchObject({ code: "aborted" });
  expect(client.room("other").state).toBe("out");
  await expect(room.history({ signal: never.signal })).rejects.toMatchObject({ code: "aborted" });
  server.acks = true;
  const kept = aborting();
  const stored = room.send("hi", { signal: kept.signal });
  await world.go(500);
  await up(world, server);
  expect(await stored).toMatchObject({ status: "stored" });
  expect(listening.size).toBe(0);
  await client.close();
});

/** After `close`, at whatever moment, nothing is left and everything has settled. */
test.each(["idle", "token", "connecting", "greeted", "ready", "joining", "waiting", "hidden"])(
  "rule 8: close while %s",
  async (moment) => {
    const { world, server, client } = setUp();
    const room = client.room("lobby");
    const settled: string[] = [];
    const note = (name: string, promise: Promise<unknown>): void => {
      void promise.then(
        () => settled.push(name),
        () => settled.push(name),
      );
    };
    const reading = (async () => {
      for await (const each of room) expect(each).toBeDefined();
    })();
    if (moment !== "idle") {
      note("join", room.join());
      note("send", room.send("hi"));
      note("history", room.history());
      note("connect", client.connect());
      note("reading", reading);
    }
    if (!["idle", "token"].includes(moment)) await settle();
    if (moment === "greeted") {
      world.socket.reply = undefined;
      world.socket.open();
      world.socket.say({ type: "handshake", data: {} });
    }
    if (["ready", "joining", "waiting", "hidden"].includes(moment)) await up(world, server);
    if (moment === "joining")
      world.socket.say({ type: "room_left", data: { roomId: "lobby", reason: "unavailable" } });
    if (moment === "waiting") world.socket.drop();
    if (moment === "hidden") world.page("pagehide");
    const states: string[] = [];
    client.on("state", (state) => states.push(state));
    await client.close();
    await client.close();
    await settle();
    if (moment === "idle") await reading;
    else expect(settled.sort()).toEqual(["connect", "history", "join", "reading", "send"]);
    expect([world.clock.pending, world.watching, states]).toEqual([0, 0, ["closed"]]);
    expect(world.sockets.every((socket) => socket.readyState === 3 && !socket.onmessage)).toBe(
      true,
    );
    await expect(client.connect()).rejects.toMatchObject({ code: "closed" });
    await expect(room.join()).rejects.toMatchObject({ code: "closed" });
    expect(await room.send("hi")).toMatchObject({ status: "refused" });
    for (const event of ["visible", "pageshow", "online"] as const) world.page(event);
    await world.go(600_000);
    expect(world.sockets.length).toBeLessThanOrEqual(1);
  },
);

/** `close` waits for a socket that does not close, for a second at most. */
test("rule 8: a socket that does not close", async () => {
  const { world, client } = await inRoom();
  const { socket } = world;
  let terminated = false;
  socket.close = () => {
    socket.readyState = 2;
  };
  Object.assign(socket, { terminate: () => (terminated = true) });
  let done = false;
  void client.close().then(() => (done = true));
  await settle();
  expect(done).toBe(false);
  await world.go(1000);
  expect([done, terminated, world.clock.pending, socket.onclose]).toEqual([true, true, 0, null]);
});

/** A listener that throws harms nothing, and its error surfaces. */
test("a listener that throws", async () => {
  const { world, client, room } = await inRoom();
  const surfaced: unknown[] = [];
  const note = (error: unknown): void => {
    surfaced.push(error);
  };
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", note);
  room.on("typing", () => {
    throw new Error("of the application");
  });
  const heard: unknown[] = [];
  room.on("typing", ({ userId }) => heard.push(userId));
  world.socket.say({ type: "typing", data: { roomId: "lobby", userId: "bob", active: true } });
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.removeListener("uncaughtException", note);
  for (const listener of before) process.on("uncaughtException", listener);
  expect(heard).toEqual(["bob"]);
  expect(surfaced).toEqual([new Error("of the application")]);
  expect(client.state).toBe("ready");
  await client.close();
});

/** A listener may close the client, or connect it again, in the middle of anything. */
test.each(["ready", "waiting", "stopped"])("close or connect within %s", async (moment) => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  client.on("state", (state) => {
    if (state !== moment) return;
    if (moment === "stopped") void client.connect().catch(() => undefined);
    else void client.close();
  });
  const joined = room.join().catch((error: unknown) => error);
  await up(world, server);
  if (moment === "waiting") world.socket.drop();
  if (moment === "stopped") world.socket.drop(3503);
  await settle();
  await joined;
  expect(client.state).toBe(moment === "stopped" ? "connecting" : "closed");
  await client.close();
  await settle();
  expect([world.clock.pending, world.watching]).toEqual([0, 0]);
});
