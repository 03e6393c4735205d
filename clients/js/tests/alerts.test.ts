import { expect, test } from "vitest";
import { AlertsClient, UnauthorizedError } from "../src/index.js";
import type { ClientOptions } from "../src/types.js";
import { settle } from "./helpers/fake.js";
import { type Frame, opened, wired } from "./helpers/wire.js";

const GREETING = { type: "handshake", payload: { sessionId: "s" } };

/** A client, and a server that accepts all calls but those that begin with "no". */
function setUp(more: ClientOptions = {}) {
  const state: {
    recovered: Record<string, boolean>;
    positions: Record<string, unknown>;
    refuse: Frame | undefined;
  } = { recovered: {}, positions: {}, refuse: undefined };
  const { world, options } = wired((frame, socket) => {
    const { type, id, callIds } = frame as { type: string; id: string; callIds: string[] };
    if (state.refuse) socket.say({ type: "error", payload: state.refuse, id });
    else if (type === "subscribe") {
      const denied = callIds.filter((each) => each.startsWith("no"));
      socket.say({
        type: "subscribed",
        id,
        payload: {
          callIds: callIds.filter((each) => !denied.includes(each)),
          ...(denied.length && { denied }),
          ...(frame["since"] !== undefined && { recovered: state.recovered }),
        },
      });
    } else if (type === "getHistory") {
      socket.say({ type: "history", id, payload: { alerts: [], positions: state.positions } });
    } else if (type === "ping") socket.say({ type: "pong", payload: {} });
    else socket.say({ type: `${type}d`, id, payload: {} });
  });
  const client = new AlertsClient("https://host/", {
    getToken: () => "tok/en",
    ...options,
    ...more,
  });
  const told: unknown[] = [];
  client.on("alert", ({ id }) => told.push(id));
  client.on("gap", (gap) => told.push(gap));
  client.on("denied", (event) => told.push(event));
  return { world, client, told, state };
}

/** An alert, as the server sends it. */
function alert(offset: number, more: Frame = {}): Frame {
  const payload = {
    id: `a${offset}`,
    callId: "c1",
    type: "t",
    offset,
    epoch: "e1",
    data: {},
    ...more,
  };
  return { type: "alert", payload };
}

/** The token goes into a header where that can be set, else into a ticket, else into the address. */
test("where the token goes", async () => {
  const plain = setUp();
  void plain.client.subscribe(["c1"]);
  await opened(plain.world, GREETING);
  expect(plain.world.socket.url).toBe("wss://host/alerts?token=tok%2Fen");
  const asked: unknown[] = [];
  const ticket = setUp({
    fetchTicket: ({ token }) => {
      asked.push(token);
      return "a b";
    },
  });
  void ticket.client.connect();
  await opened(ticket.world, GREETING);
  expect([ticket.world.socket.url, asked]).toEqual(["wss://host/alerts?ticket=a%20b", ["tok/en"]]);
  const header = setUp();
  header.world.takesHeaders = true;
  const client = new AlertsClient("wss://host", {
    getToken: () => "token",
    environment: header.world.environment,
  });
  void client.connect();
  await opened(header.world, GREETING);
  expect([header.world.socket.url, header.world.socket.options]).toEqual([
    "wss://host/alerts",
    { headers: { Authorization: "Bearer token" } },
  ]);
  for (const each of [plain.client, ticket.client, client]) await each.close();
});

/** A ticket that cannot be had is temporary; nobody being logged in is not; and no error repeats it. */
test.each([
  [new Error("secret"), "waiting", "ticket_failed"],
  [new UnauthorizedError(), "stopped", "unauthorized"],
])("a ticket fails: %s", async (error, state, code) => {
  const { client } = setUp({ fetchTicket: () => Promise.reject(error) });
  client.connect().catch(() => undefined);
  await settle();
  expect([client.state, client.error?.code]).toEqual([state, code]);
  expect(String(client.error)).not.toContain("secret");
  await client.close();
});

/** Calls are subscribed to, those that are denied are told, and all come again after a break. */
test("subscriptions", async () => {
  const { world, client, told, state } = setUp();
  state.positions = { c2: { offset: 7, epoch: "e2" } };
  const heard = client.subscribe(["c1", "c2", "no"]);
  await opened(world, GREETING);
  expect(await heard).toEqual(["c1", "c2"]);
  expect(told.splice(0)).toEqual([{ callId: "no", code: "permission_denied" }]);
  world.socket.say(alert(1));
  world.socket.say(alert(1));
  world.socket.say(alert(3));
  world.socket.say(alert(2));
  expect(told.splice(0)).toEqual(["a1", "a3"]);
  state.recovered = { c1: true, c2: false };
  world.socket.drop();
  await world.go(500);
  await opened(world, GREETING);
  expect(world.socket.last("subscribe")).toMatchObject({
    callIds: ["c1", "c2"],
    since: { c1: { offset: 3, epoch: "e1" }, c2: { offset: 7, epoch: "e2" } },
  });
  expect(told.splice(0)).toEqual([
    { channel: "c2", from: { offset: 7, epoch: "e2" }, to: undefined },
  ]);
  await client.unsubscribe(["c1"]);
  world.socket.say(alert(4));
  expect([told, client.callIds]).toEqual([[], ["c2"]]);
  await client.unsubscribe();
  await client.close();
  expect([world.clock.pending, world.watching]).toEqual([0, 0]);
});

/** A late alert is given once, whatever its place, and leaves the place alone. */
test("late alerts", async () => {
  const { world, client, told, state } = setUp();
  const heard = client.subscribe(["c1"]);
  await opened(world, GREETING);
  await heard;
  world.socket.say(alert(5));
  for (let n = 0; n < 2; n++) world.socket.say(alert(3, { late: true }));
  world.socket.say(alert(6, { late: true }));
  state.recovered = { c1: true };
  world.socket.drop();
  await world.go(500);
  await opened(world, GREETING);
  expect(world.socket.last("subscribe")?.["since"]).toEqual({ c1: { offset: 5, epoch: "e1" } });
  for (const offset of [6, 7]) world.socket.say(alert(offset));
  expect(told).toEqual(["a5", "a3", "a6", "a7"]);
  await client.close();
});

/** All calls have one position; a call of theirs is no other stream. */
test("all calls", async () => {
  const { world, client, told } = setUp();
  const heard = client.subscribe(["*"]);
  await opened(world, GREETING);
  expect(await heard).toEqual(["*"]);
  world.socket.say(alert(1, { callId: "c1" }));
  world.socket.say(alert(2, { callId: "c2" }));
  world.socket.drop();
  await world.go(500);
  await opened(world, GREETING);
  expect(world.socket.last("subscribe")).toMatchObject({
    callIds: ["*"],
    since: { "*": { offset: 2, epoch: "e1" } },
  });
  expect(told).toEqual(["a1", "a2"]);
  await client.close();
});

/** A refused subscription rejects with its code; a withdrawn one is told and not asked for again. */
test("refusals", async () => {
  const { world, client, told, state } = setUp();
  const heard = client.subscribe(["c1"]);
  await opened(world, GREETING);
  await heard;
  state.refuse = { code: "subscribe_rate_limited", message: "Too many", retryMs: 1001 };
  await expect(client.subscribe(["c9"])).rejects.toMatchObject({
    code: "subscribe_rate_limited",
    temporary: true,
    retryAfterMs: 1001,
  });
  state.refuse = undefined;
  expect(client.callIds).toEqual(["c1"]);
  world.socket.say({
    type: "error",
    payload: { code: "permission_denied", message: "Subscription withdrawn", callId: "c1" },
  });
  expect(told).toEqual([{ callId: "c1", code: "permission_denied" }]);
  world.socket.drop();
  await world.go(500);
  await opened(world, GREETING);
  expect(world.socket.all("subscribe")).toEqual([]);
  await client.close();
});

/** A notice refreshes the token; the history asks for what is wanted; iteration ends with the client. */
test("refresh, history, iteration", async () => {
  const { world, client } = setUp();
  void client.connect();
  await opened(world, GREETING);
  await world.go(2000);
  world.socket.say({ type: "expiring", payload: { expiresAt: world.clock.now + 60_000 } });
  await settle();
  expect(world.socket.last("refresh")).toMatchObject({ token: "tok/en" });
  expect(await client.history("c1", 5)).toEqual([]);
  expect(world.socket.last("getHistory")).toMatchObject({ callId: "c1", limit: 5 });
  void client.subscribe(["c1"]);
  const ids: string[] = [];
  const reading = (async () => {
    for await (const { id } of client) ids.push(id);
  })();
  await settle();
  world.socket.say(alert(1));
  await client.close();
  await reading;
  expect(ids).toEqual(["a1"]);
});

/** Words before a close say when to come back. */
test.each(["shutdown", "closing", "error"])("%s names a time", async (type) => {
  const { world, client } = setUp();
  void client.connect();
  await opened(world, GREETING);
  world.socket.say({ type, payload: { retryMs: 4000 } });
  world.socket.drop(1001);
  expect(world.clock.next).toBe(4500);
  await client.close();
});
