import { expect, test } from "vitest";
import { RoomsClient } from "../../src/index.js";
import { settle, World } from "../helpers/fake.js";
import { setUp, up } from "../helpers/rooms.js";

/** Connects a client and makes it ready. */
async function ready(options = {}): Promise<ReturnType<typeof setUp>> {
  const all = setUp(options);
  void all.client.connect();
  await up(all.world, all.server);
  expect(all.client.state).toBe("ready");
  return all;
}

/** The waits double up to half a minute, each is any part of its range, and none is below 50 ms. */
test("rule 1: full jitter", async () => {
  const { world, client } = await ready();
  world.socket.drop();
  const waits: (number | undefined)[] = [];
  world.onSocket = (socket) => {
    queueMicrotask(() => {
      socket.drop();
    });
  };
  for (let n = 0; n < 9; n++) {
    waits.push(world.clock.next);
    await world.go(world.clock.next ?? 0);
    await settle();
  }
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  world.randoms = [0];
  await world.go(15_000);
  expect(world.clock.next).toBe(50);
  await client.close();
});

/** Two clients that are cut off at the same instant do not come back at the same instant. */
test("rule 1: two clients part", async () => {
  for (const event of ["cut", "shutdown", "wake"]) {
    const times: number[] = [];
    for (const random of [0.2, 0.9]) {
      const { world, client } = await ready();
      if (event === "shutdown") world.socket.say({ type: "shutdown", data: { retryMs: 4000 } });
      world.randoms = [random, random];
      world.socket.drop(event === "shutdown" ? 3001 : 1006);
      if (event === "wake") world.page("online");
      times.push(world.clock.next ?? 0);
      await client.close();
    }
    expect(new Set(times).size).toBe(2);
  }
});

/** A connection that lasted five seconds begins the waits anew; a shorter one does not. */
test("rule 1: what counts as a connection", async () => {
  const { world, server, client } = await ready();
  for (const [lasted, wait] of [
    [0, 250],
    [4999, 500],
    [4999, 1000],
    [5000, 250],
  ] as const) {
    await world.go(lasted);
    world.socket.drop();
    expect(world.clock.next).toBe(wait);
    await world.go(wait);
    await up(world, server);
  }
  await client.close();
});

/** The server's time is never undercut, and is spread by a quarter of it, by half a second at least. */
test.each([
  [0, 0, 0],
  [1000, 0, 1000],
  [1000, 0.5, 1250],
  [4000, 0.999, 4999],
  [400_000, 0.5, 450_000],
])("rule 1: retryMs %d with %d", async (retryMs, random, wait) => {
  const { world, client } = await ready();
  world.socket.say({ type: "shutdown", data: { retryMs } });
  world.randoms = [random];
  world.socket.drop(3001, "shutdown");
  expect(world.clock.next).toBe(wait);
  await client.close();
});

/** Values that are no time are passed over. */
test.each([-1, null, "5", Number.NaN, {}])("rule 1: no time: %s", async (retryMs) => {
  const { world, client } = await ready();
  world.socket.say({ type: "shutdown", data: { retryMs } });
  world.socket.drop(3001, "shutdown");
  expect(world.clock.next).toBe(250);
  await client.close();
});

/** A `Retry-After` that the socket shows counts as the server's time, and a wake does not undercut it. */
test("rule 1: Retry-After", async () => {
  const { world, client } = setUp();
  void client.connect().catch(() => undefined);
  await settle();
  world.socket.drop(1006, "", { status: 503, retryAfterMs: 7000 });
  expect(world.clock.next).toBe(7875);
  await world.go(1000);
  world.page("visible");
  expect(world.clock.next).toBeGreaterThanOrEqual(6000);
  await client.close();
});

/** Codes that forbid stop at once: one callback, every promise settles, nothing is tried again. */
test.each([
  1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1015, 3500, 3501, 3502, 3503, 3504, 3507, 3999,
  4500, 4999, 2999,
])("rule 2: %d stops", async (code) => {
  const { world, server, client } = await ready();
  const stopped: unknown[] = [];
  client.on("stopped", (error) => stopped.push(error));
  const room = client.room("lobby");
  await room.join();
  server.acks = false;
  const sent = room.send("hi");
  const history = client.room("other").history();
  world.socket.drop(code, "force disconnect");
  expect(await sent).toMatchObject({ status: "unknown" });
  await history.catch(() => undefined);
  expect(client.state).toBe("stopped");
  expect(stopped).toEqual([expect.objectContaining({ closeCode: code, temporary: false })]);
  await expect(room.join()).rejects.toMatchObject({ closeCode: code });
  expect(await room.send("again")).toMatchObject({ status: "refused", temporary: false });
  for (const event of ["visible", "pageshow", "online"] as const) world.page(event);
  await world.go(600_000);
  expect([world.sockets.length, world.clock.pending, world.watching]).toEqual([1, 0, 0]);
  void client.connect();
  await up(world, server);
  expect([world.sockets.length, client.state, room.state]).toEqual([2, "ready", "in"]);
  await client.close();
});

/** Codes that invite are followed by another attempt. */
test.each([
  [1001, ""],
  [0, ""],
  [1006, ""],
  [1011, ""],
  [1012, ""],
  [1013, "try again later"],
  [1014, "bad gateway"],
  [1008, "Connection timeout"],
  [1008, "back-pressure threshold exceeded"],
  [3000, ""],
  [3001, "shutdown"],
  [3005, "expired"],
  [3499, ""],
  [4000, ""],
  [4499, ""],
])("rule 2: %d %s comes back", async (code, reason) => {
  const { world, client } = await ready();
  world.socket.drop(code, reason);
  expect(client.state).toBe("waiting");
  await world.go(500);
  expect(world.sockets).toHaveLength(2);
  await client.close();
});

/** A status that says that another attempt is of no use stops; one that passes does not. */
test.each([
  [400, "stopped"],
  [403, "stopped"],
  [404, "stopped"],
  [426, "stopped"],
  [408, "waiting"],
  [429, "waiting"],
  [500, "waiting"],
  [503, "waiting"],
])("rule 2: status %d: %s", async (status, state) => {
  const { world, client } = setUp();
  void client.connect().catch(() => undefined);
  await settle();
  world.socket.drop(1006, "", { status });
  expect([client.state, client.error]).toEqual([state, expect.objectContaining({ status })]);
  await client.close();
});

/** A wake while waiting is an attempt at once. */
test.each(["visible", "pageshow", "online"] as const)("rule 3: %s while waiting", async (event) => {
  const { world, client } = await ready();
  world.onSocket = undefined;
  for (let n = 0; n < 7; n++) {
    world.socket.drop();
    await world.go(world.clock.next ?? 0);
  }
  world.socket.drop();
  expect(world.clock.next).toBeGreaterThan(10_000);
  const before = world.sockets.length;
  world.page(event);
  await world.go(100);
  expect(world.sockets).toHaveLength(before + 1);
  await client.close();
});

/** A wake after long silence by the wall clock probes for two seconds, once, and connects again. */
test("rule 3: a probe", async () => {
  const { world, server, client } = await ready();
  world.socket.reply = undefined;
  world.clock.sleep(3_600_000);
  world.page("visible");
  world.page("pageshow");
  world.page("online");
  expect(world.socket.all("heartbeat")).toHaveLength(1);
  await world.go(1999);
  expect(client.state).toBe("ready");
  await world.go(1);
  expect(client.state).toBe("waiting");
  await world.go(500);
  await up(world, server);
  expect([world.sockets.length, client.state]).toEqual([2, "ready"]);
  await client.close();
});

/** A wake shortly after something was heard asks nothing; an answered probe changes nothing. */
test("rule 3: a live connection is kept", async () => {
  const { world, client } = await ready();
  world.page("visible");
  expect(world.socket.all("heartbeat")).toHaveLength(0);
  world.clock.sleep(3_600_000);
  world.page("visible");
  await world.go(5000);
  expect([client.state, world.sockets.length]).toEqual(["ready", 1]);
  await client.close();
});

/** A regular ping that is under way becomes a probe of two seconds at a wake. */
test("rule 3: a wake during a ping", async () => {
  const { world, client } = await ready();
  world.socket.reply = undefined;
  await world.go(26_000);
  world.page("visible");
  await world.go(2000);
  expect(client.state).toBe("waiting");
  await client.close();
});

/** `offline` marks; `pagehide` closes with 1000 and waits; `pageshow` connects again. */
test("rule 4: the page", async () => {
  const { world, server, client } = await ready();
  const online: boolean[] = [];
  client.on("online", (value) => online.push(value));
  world.page("offline");
  expect([client.state, client.online]).toEqual(["ready", false]);
  world.page("online");
  world.page("pagehide");
  expect([client.state, world.socket.closedWith, client.online]).toEqual(["waiting", 1000, true]);
  await world.go(600_000);
  expect([world.sockets.length, world.clock.pending]).toEqual([1, 0]);
  world.page("pageshow");
  await world.go(100);
  await up(world, server);
  expect([client.state, online]).toEqual(["ready", [false, true]]);
  await client.close();
});

/** A dead link is found within 35 s of the last frame; an answer to the ping keeps it. */
test("rule 5: silence", async () => {
  const { world, client } = await ready();
  await world.go(100_000);
  expect([client.state, world.sockets.length]).toEqual(["ready", 1]);
  const asked = world.socket.all("heartbeat").length;
  expect(asked).toBeGreaterThanOrEqual(2);
  world.socket.say({ type: "anything" });
  world.socket.reply = undefined;
  await world.go(34_999);
  expect(client.state).toBe("ready");
  await world.go(1);
  expect([client.state, client.error?.code]).toEqual(["waiting", "silent"]);
  await client.close();
});

/** A machine that slept finds a dead link two seconds after its timers go on, without any event. */
test("rule 5: a sleep without an event", async () => {
  const { world, client } = await ready();
  world.socket.reply = undefined;
  world.clock.sleep(3_600_000);
  await world.go(2000);
  expect(client.state).toBe("waiting");
  await client.close();
});

/** A wall clock that was set back does not hide a dead link for long. */
test("rule 5: a clock set back", async () => {
  const { world, client } = await ready();
  world.socket.reply = undefined;
  world.skew = -3_600_000;
  await world.go(59_999);
  expect(client.state).toBe("ready");
  await world.go(1);
  expect(client.state).toBe("waiting");
  await client.close();
});

/** A handshake that hangs at any step is given up after ten seconds. */
test.each(["connecting", "open", "greeted"])("a handshake that hangs: %s", async (step) => {
  const { world, client } = setUp();
  void client.connect().catch(() => undefined);
  await settle();
  world.socket.reply = undefined;
  if (step !== "connecting") world.socket.open();
  if (step === "greeted") world.socket.say({ type: "handshake", data: {} });
  await settle();
  await world.go(9_999);
  expect(client.state).toBe("connecting");
  await world.go(2);
  expect(client.state).toBe("waiting");
  await client.close();
});

/** What no server of this protocol says ends the connection, and only that. */
test.each(["{", "null", "", new ArrayBuffer(2)])("broken speech: %s", async (said) => {
  const { world, client } = await ready();
  world.socket.utter(said);
  expect([client.state, client.error?.code]).toEqual(["waiting", "protocol"]);
  await client.close();
});

/** Types, keys and ids that are not known are passed over. */
test.each([7, [], {}, { type: 5 }, { type: "x", data: 5 }, { id: "99", type: "ack", data: {} }])(
  "unknown speech: %j",
  async (said) => {
    const { world, client } = await ready();
    world.socket.say(said);
    expect(client.state).toBe("ready");
    await client.close();
  },
);

/** Without any WebSocket the client stops, and the error names where one is. */
test("no WebSocket", async () => {
  const world = new World();
  const environment = { ...world.environment, WebSocket: undefined };
  const client = new RoomsClient("wss://host", { environment });
  await expect(client.connect()).rejects.toMatchObject({
    code: "no_websocket",
    message: expect.stringContaining("portward/node") as string,
  });
  expect([client.state, world.clock.pending, world.watching]).toEqual(["stopped", 0, 0]);
});

/** An address that the WebSocket refuses stops, and the error does not repeat it. */
test("a bad address", async () => {
  const client = new RoomsClient("wss://host:99999999/?token=secret");
  const error: unknown = await client.connect().catch((each: unknown) => each);
  expect(client.state).toBe("stopped");
  expect(String(error)).not.toContain("secret");
});
