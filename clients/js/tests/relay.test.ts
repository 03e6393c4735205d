import { expect, test } from "vitest";
import { RelayClient } from "../src/index.js";
import { settle } from "./helpers/fake.js";
import { type Frame, opened, wired } from "./helpers/wire.js";

/** A client, and a gateway with an upstream. */
function setUp(token: string | undefined = "token") {
  const gateway: { auth: Frame | undefined; upstream: Frame | undefined } = {
    auth: undefined,
    upstream: undefined,
  };
  const { world, options } = wired((frame, socket) => {
    const { type, id, model } = frame;
    if (type === "ping") socket.say({ type: "pong" });
    else if (type === "authenticate" || type === "refresh") {
      const good = type === "refresh" ? "refresh_success" : "auth_success";
      socket.say(gateway.auth ? { type: "error", id, ...gateway.auth } : { type: good, id });
    } else if (type === "connect_realtime") {
      if (gateway.upstream) socket.say({ type: "error", id, ...gateway.upstream });
      else socket.say({ type: "realtime_connected", model: model ?? "gpt-realtime", id });
    }
  });
  const client = new RelayClient("wss://host", {
    ...options,
    ...(token && { getToken: () => token }),
  });
  const told: unknown[] = [];
  client.on("event", ({ type }) => told.push(type));
  client.on("binary", (bytes) => told.push([...bytes]));
  client.on("ended", ({ code, temporary }) => told.push({ ended: code, temporary }));
  return { world, client, told, gateway };
}

/** The token is proven, the upstream is asked for, and events go both ways as they are. */
test("a conversation", async () => {
  const { world, client, told } = setUp();
  const connected = client.connect("gpt-realtime-mini");
  await opened(world);
  await connected;
  expect(client.model).toBe("gpt-realtime-mini");
  expect(world.socket.sent.map(({ type }) => type)).toEqual(["authenticate", "connect_realtime"]);
  world.socket.say({ type: "session.created" });
  world.socket.say({ type: "error", error: { code: "of the upstream" } });
  world.socket.utter(new Uint8Array([1, 2]).buffer);
  client.send({ type: "response.create" });
  client.send(new Uint8Array([3]));
  expect(told).toEqual(["session.created", "error", [1, 2]]);
  expect(world.socket.raw.slice(2)).toEqual(['{"type":"response.create"}', new Uint8Array([3])]);
  await world.go(26_000);
  expect(world.socket.last("ping")).toEqual({ type: "ping" });
  expect(told).toHaveLength(3);
  await client.close();
  expect(told.at(-1)).toEqual({ ended: "closed", temporary: false });
  expect([world.clock.pending, world.watching]).toEqual([0, 0]);
});

/** A conversation that ends is told and never resumed; another one begins with `connect`. */
test.each([
  ["a break", 1006, true],
  ["a bad gateway", 1014, true],
  ["the upstream", 1000, false],
  ["a revocation", 3503, false],
])("the end: %s", async (_, code, temporary) => {
  const { world, client, told } = setUp();
  void client.connect();
  await opened(world);
  world.socket.drop(code);
  expect(told).toEqual([expect.objectContaining({ temporary })]);
  for (const event of ["online", "pageshow"] as const) world.page(event);
  await world.go(600_000);
  expect([world.sockets.length, client.state]).toEqual([1, "stopped"]);
  expect(() => {
    client.send({ type: "response.create" });
  }).toThrow(expect.objectContaining({ code: "not_connected" }));
  void client.connect();
  await opened(world);
  expect([client.state, world.socket.raw.length]).toEqual(["ready", 2]);
  await client.close();
});

/** A page that is left ends the conversation, and does not begin another one when it is shown again. */
test("pagehide", async () => {
  const { world, client, told } = setUp();
  void client.connect();
  await opened(world);
  world.page("pagehide");
  world.page("pageshow");
  await world.go(600_000);
  expect([told, world.sockets.length, world.socket.closedWith]).toEqual([
    [{ ended: "pagehide", temporary: true }],
    1,
    1000,
  ]);
  await client.close();
});

/** Before the conversation a failure that passes is tried again, and one that does not stops. */
test("the upstream is away", async () => {
  const { world, client, told, gateway } = setUp();
  gateway.upstream = { code: "upstream_unavailable", message: "", retryMs: 2000 };
  const connected = client.connect();
  await opened(world);
  expect([client.state, world.clock.next]).toEqual(["waiting", 2250 + 0]);
  gateway.upstream = undefined;
  await world.go(2250);
  await opened(world);
  await connected;
  expect(told).toEqual([]);
  await client.close();
});

/** What the gateway refuses for good stops, with its code. */
test.each(["model_not_allowed", "quota_exceeded"])("refused: %s", async (code) => {
  const { world, client, gateway } = setUp();
  gateway.upstream = { code, message: "" };
  const connected = client.connect("other");
  await opened(world);
  await expect(connected).rejects.toMatchObject({ code });
  expect(client.state).toBe("stopped");
});

/** A refused token is followed by one more, and a second refusal stops. */
test("a refused token", async () => {
  const { world, client, gateway } = setUp();
  gateway.auth = { code: "invalid_token", message: "" };
  const connected = client.connect();
  await opened(world);
  await expect(connected).rejects.toMatchObject({
    name: "UnauthorizedError",
    code: "invalid_token",
  });
  expect(world.socket.all("authenticate")).toHaveLength(2);
});

/** A notice during the conversation puts a newer token in force. */
test("refresh", async () => {
  const { world, client } = setUp();
  void client.connect();
  await opened(world);
  await world.go(2000);
  world.socket.say({ type: "token_expiring", expiresAt: world.clock.now + 60_000 });
  await settle();
  expect(world.socket.last("refresh")).toMatchObject({ token: "token" });
  await client.close();
});

/** Sending faster than the network takes it is refused. */
test("a slow network", async () => {
  const { world, client } = setUp("");
  void client.connect();
  await opened(world);
  expect(world.socket.sent.map(({ type }) => type)).toEqual(["connect_realtime"]);
  world.socket.bufferedAmount = 2 ** 21;
  expect(() => {
    client.send({ type: "x" });
  }).toThrow(expect.objectContaining({ code: "queue_full", temporary: true }));
  await client.close();
});
