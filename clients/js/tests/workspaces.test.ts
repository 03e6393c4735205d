import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { UnauthorizedError, workspace, workspaceError } from "../src/workspaces/index.js";
import type { WorkspaceOptions } from "../src/workspaces/index.js";
import { settle, World } from "./helpers/fake.js";

/** A socket of socket.io-client, as far as a workspace uses one. */
class FakeIo extends EventEmitter {
  connects = 0;
  disconnects = 0;
  tokens: unknown[] = [];
  refreshed: unknown[] = [];
  answer: object = { ok: true, expiresAt: 0 };
  delays: number[] = [];
  auth: ((give: (data: { token: string }) => void) => void) | undefined;
  io = {
    reconnectionDelay: (ms?: number) => this.set(ms, 1000),
    reconnectionDelayMax: (ms?: number) => this.set(ms, 5000),
    randomizationFactor: (value?: number) => this.set(value, 0.5),
  };

  private set(value: number | undefined, now: number): unknown {
    if (value === undefined) return now;
    this.delays.push(value);
    return this.io;
  }

  connect(): void {
    this.connects++;
    this.auth?.(({ token }) => this.tokens.push(token));
  }

  disconnect(): void {
    this.disconnects++;
  }

  timeout(): this {
    return this;
  }

  emitWithAck(_: string, { token }: { token: string }): Promise<object> {
    this.refreshed.push(token);
    return Promise.resolve(this.answer);
  }
}

function setUp(getToken: WorkspaceOptions["getToken"] = ({ reason }) => reason) {
  const world = new World();
  const fake = new FakeIo();
  const stopped: unknown[] = [];
  const refused: unknown[] = [];
  workspace("https://host", {
    io: ((_: string, options: { auth: FakeIo["auth"] }) => {
      fake.auth = options.auth;
      return fake;
    }) as unknown as WorkspaceOptions["io"],
    getToken,
    environment: world.environment,
    onStopped: ({ code, name }) => stopped.push([code, name]),
    onRefused: ({ code, retryAfterMs }) => refused.push([code, retryAfterMs]),
  });
  const end = (code: string): void => {
    fake.emit("error", { code });
    fake.emit("disconnect", "io server disconnect");
  };
  return { world, fake, stopped, refused, end };
}

/** The token is asked for at each connection, until there is one; nobody being logged in stops. */
test("tokens", async () => {
  const answers: (string | Error)[] = [new Error("away"), "first", new UnauthorizedError()];
  const { world, fake, stopped } = setUp(() => {
    const answer = answers.shift() ?? "";
    if (answer instanceof Error) throw answer;
    return answer;
  });
  await world.go(500);
  expect(fake.tokens).toEqual(["first"]);
  fake.connect();
  await settle();
  expect([stopped, fake.disconnects]).toEqual([[["unauthorized", "UnauthorizedError"]], 1]);
  expect(world.clock.pending).toBe(0);
});

/** A terminal code stops with one callback; nothing is tried again. */
test.each(["REVOKED", "TOO_MANY_CONNECTIONS", "PERMISSION_LOST", "TOO_MANY_FAULTS", "FLOODING"])(
  "%s stops",
  async (code) => {
    const { world, fake, stopped, end } = setUp();
    await settle();
    end(code);
    await world.go(600_000);
    expect([stopped, fake.connects]).toEqual([[[code, "StoppedError"]], 1]);
  },
);

/** A refused token is followed by one more; a second refusal stops. */
test.each(["INVALID_TOKEN", "AUTH_REQUIRED"])("%s", async (code) => {
  const { world, fake, stopped, end } = setUp();
  await settle();
  end(code);
  await world.go(500);
  expect(fake.tokens).toEqual(["connect", "rejected"]);
  end(code);
  await world.go(600_000);
  expect([stopped, fake.connects]).toEqual([[[code, "UnauthorizedError"]], 2]);
});

/** What passes is tried again, also when it came as the refusal of a CONNECT. */
test.each(["disconnect", "connect_error"])("UNAVAILABLE by %s", async (how) => {
  const { world, fake, stopped, end } = setUp();
  await settle();
  if (how === "disconnect") end("UNAVAILABLE");
  else fake.emit("connect_error", Object.assign(new Error(), { data: { code: "UNAVAILABLE" } }));
  await world.go(500);
  expect([fake.connects, stopped]).toEqual([2, []]);
  fake.emit("connect_error", new Error("network"));
  await world.go(600_000);
  expect(fake.connects).toBe(2);
});

/** A notice brings a newer token; a refused one is followed by another. */
test("token_expiring", async () => {
  const { world, fake } = setUp();
  await settle();
  fake.emit("connect");
  await world.go(2000);
  fake.answer = { error: "UNAVAILABLE" };
  fake.emit("token_expiring", { expiresAt: world.clock.now + 60_000 });
  await settle();
  fake.answer = { ok: true };
  await world.go(500);
  expect(fake.refreshed).toEqual(["refresh", "refresh"]);
  fake.emit("token_expiring", { expiresAt: world.clock.now + 5000 });
  await settle();
  expect(fake.refreshed).toHaveLength(2);
  await world.go(2500);
  expect(fake.refreshed).toHaveLength(3);
  fake.emit("disconnect", "io client disconnect");
  await settle();
  expect(world.clock.pending).toBe(0);
});

/** A process that leaves is not come back to before its time. */
test("shutdown", () => {
  const { fake } = setUp();
  fake.emit("shutdown", { retryMs: 4000 });
  expect(fake.delays).toEqual([8000, 16_000, 0.5]);
  fake.emit("connect");
  expect(fake.delays.slice(3)).toEqual([1000, 5000, 0.5]);
});

/** A refused event without acknowledgement is told; the connection goes on. */
test("refused events", async () => {
  const { world, fake, refused, stopped } = setUp();
  fake.emit("error", { code: "RATE_LIMITED", retryMs: 500 });
  await world.go(1000);
  expect([refused, stopped, fake.disconnects]).toEqual([[["RATE_LIMITED", 500]], [], 0]);
  expect(workspaceError({ error: "CONFLICT" })).toMatchObject({
    code: "CONFLICT",
    temporary: false,
  });
});
