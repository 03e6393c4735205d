import { expect, test } from "vitest";
import { UnauthorizedError } from "../../src/index.js";
import type { TokenRequest } from "../../src/types.js";
import { settle } from "../helpers/fake.js";
import { setUp, up } from "../helpers/rooms.js";

/** A token with this time of issue. */
function token(iat: number): string {
  return `e30.${btoa(JSON.stringify({ iat }))}.x`;
}

/** A source of tokens that the test answers. */
function source(): {
  asked: TokenRequest[];
  answers: unknown[];
  getToken: (request: TokenRequest) => Promise<string>;
} {
  const asked: TokenRequest[] = [];
  const answers: unknown[] = [];
  return {
    asked,
    answers,
    getToken: (request) => {
      asked.push(request);
      const answer = answers.shift() ?? "token";
      if (answer === "hang") return new Promise(() => undefined);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- applications throw what they like
      return typeof answer === "string" ? Promise.resolve(answer) : Promise.reject(answer);
    },
  };
}

/** An error of `getToken` is temporary, whatever it is, and the socket is not opened without a token. */
test.each([new Error("login away"), undefined, "no error", 7, { code: 5 }])(
  "rule 6: getToken fails: %s",
  async (answer) => {
    const { asked, answers, getToken } = source();
    answers.push(answer instanceof Error ? answer : (answer ?? null));
    if (typeof answer === "string" || answer === undefined) answers[0] = new Error();
    const { world, server, client } = setUp({ getToken });
    const connected = client.connect();
    await settle();
    expect([client.state, client.error?.code, world.sockets.length]).toEqual([
      "waiting",
      "token_failed",
      0,
    ]);
    await world.go(500);
    await up(world, server);
    await connected;
    expect(asked.map(({ reason }) => reason)).toEqual(["connect", "connect"]);
    await client.close();
  },
);

/** `UnauthorizedError` stops, with one callback, and no socket is opened. */
test("rule 6: nobody is logged in", async () => {
  const { getToken, answers } = source();
  answers.push(new UnauthorizedError());
  const { world, client } = setUp({ getToken });
  const stopped: unknown[] = [];
  client.on("stopped", (error) => stopped.push(error));
  await expect(client.room("lobby").join()).rejects.toBeInstanceOf(UnauthorizedError);
  await world.go(600_000);
  expect([stopped.length, world.sockets.length, world.clock.pending]).toEqual([1, 0, 0]);
});

/** A `getToken` that hangs is aborted after ten seconds, and asked again. */
test("rule 6: getToken hangs", async () => {
  const { asked, answers, getToken } = source();
  answers.push("hang");
  const { world, server, client } = setUp({ getToken });
  const connected = client.connect();
  await world.go(10_000);
  expect([client.state, client.error?.code]).toEqual(["waiting", "token_timeout"]);
  expect(asked[0]?.signal.aborted).toBe(true);
  await world.go(500);
  await up(world, server);
  await connected;
  await client.close();
});

/** A token older than the newest one given is not sent. */
test("rule 6: an older token", async () => {
  const { answers, getToken } = source();
  answers.push(token(100), token(99), token(100), token(101));
  const { world, server, client } = setUp({ getToken });
  void client.connect();
  await up(world, server);
  server.auth = (data) => ("wsToken" in data ? "authentication_failed" : undefined);
  world.socket.drop();
  await world.go(500);
  await up(world, server);
  // The session was refused, the token was an older one: that attempt has failed.
  expect([client.state, client.error?.code]).toEqual(["waiting", "token_older"]);
  await world.go(1000);
  await up(world, server);
  expect(world.socket.last("auth")?.["data"]).toEqual({ token: token(100) });
  expect(client.state).toBe("ready");
  await client.close();
});

/** A session that is refused is followed by an access token, on the same connection. */
test("rule 6: the session is used first, once", async () => {
  const { asked, getToken } = source();
  const { world, server, client } = setUp({ getToken });
  void client.connect();
  await up(world, server);
  server.auth = (data) => ("wsToken" in data ? "authentication_failed" : undefined);
  world.socket.drop();
  await world.go(500);
  await up(world, server);
  expect(world.socket.all("auth").map((frame) => frame["data"])).toEqual([
    { wsToken: "session-1" },
    { token: "token" },
  ]);
  expect([client.state, asked.length]).toEqual(["ready", 2]);
  await client.close();
});

/** A refused token is followed by one more; a second refusal stops. */
test.each(["authentication_failed", "token_required"])("rule 6: %s twice", async (code) => {
  const { asked, getToken } = source();
  const { world, server, client } = setUp({ getToken });
  server.auth = () => code;
  const connected = client.connect();
  await up(world, server);
  await expect(connected).rejects.toMatchObject({ name: "UnauthorizedError", code });
  expect(asked.map(({ reason }) => reason)).toEqual(["connect", "rejected"]);
  expect([client.state, world.clock.pending]).toEqual(["stopped", 0]);
});

/** A revoked token stops at once, also as a session. */
test.each(["token", "session"])("rule 6: a revoked %s", async (kind) => {
  const { asked, getToken } = source();
  const { world, server, client } = setUp({ getToken });
  if (kind === "session") {
    void client.connect();
    await up(world, server);
    world.socket.drop();
    await world.go(500);
  }
  server.auth = () => "token_revoked";
  const stopped: unknown[] = [];
  client.on("stopped", (error) => stopped.push(error.code));
  void client.connect().catch(() => undefined);
  await up(world, server);
  expect([client.state, stopped, asked.length]).toEqual(["stopped", ["token_revoked"], 1]);
});

/** A refusal for a moment is waited for, as long as the server says. */
test("rule 6: too many attempts", async () => {
  const { world, server, client } = setUp();
  server.auth = () => ({ code: "auth_rate_limited", retryAfterMs: 3000 });
  void client.connect().catch(() => undefined);
  await up(world, server);
  expect([client.state, world.clock.next]).toEqual(["waiting", 3375]);
  await client.close();
});

/** Status 401 is followed by one attempt with another token, and a second one stops. */
test("rule 6: a handshake is refused for its token", async () => {
  const { asked, getToken } = source();
  const { world, client } = setUp({ getToken });
  void client.connect().catch(() => undefined);
  await settle();
  world.socket.drop(1006, "", { status: 401 });
  expect(client.state).toBe("waiting");
  await world.go(500);
  world.socket.drop(1006, "", { status: 401 });
  expect([client.state, client.error?.name]).toEqual(["stopped", "UnauthorizedError"]);
  expect(asked.map(({ reason }) => reason)).toEqual(["connect", "rejected"]);
});

/** A notice brings a newer token into force; a failure of `getToken` is tried again. */
test("rule 6: refresh", async () => {
  const { asked, answers, getToken } = source();
  answers.push("first", new Error("away"), "hang", "second");
  const { world, server, client } = setUp({ getToken });
  void client.connect();
  await up(world, server);
  await world.go(3_000);
  world.socket.say({ type: "token_expiring", data: { expiresAt: world.clock.now + 60_000 } });
  await world.go(15_000);
  expect(asked.map(({ reason }) => reason)).toEqual(["connect", "refresh", "refresh", "refresh"]);
  expect(world.socket.all("refresh").map((frame) => frame["data"])).toEqual([{ token: "second" }]);
  expect([client.state, world.sockets.length]).toEqual(["ready", 1]);
  await client.close();
  expect(world.clock.pending).toBe(0);
});

/** A token that lives five seconds is refreshed twenty times without a break, and not in a hurry. */
test.each([0, 50])("rule 6: short tokens, a notice %i ms after the answer", async (ms) => {
  const { asked, getToken } = source();
  const { world, server, client } = setUp({ getToken });
  world.onSocket = (socket) => {
    socket.reply = (frame, each) => {
      server.reply(frame, each);
      if (frame["type"] !== "auth" && frame["type"] !== "refresh") return;
      const notice = (): void => {
        each.say({ type: "token_expiring", data: { expiresAt: world.clock.now + 5000 } });
      };
      if (ms) world.clock.delay(ms, notice);
      else notice();
    };
  };
  void client.connect();
  await up(world, server);
  await world.go(50_500);
  expect([client.state, world.sockets.length]).toEqual(["ready", 1]);
  expect(asked.length).toBe(1 + Math.floor(50_500 / (2500 + ms)));
  await client.close();
  await world.go(ms);
  expect(world.clock.pending).toBe(0);
});

/** Closing while a token is on its way aborts the question and leaves nothing. */
test("rule 8: close during getToken", async () => {
  const { asked, answers, getToken } = source();
  answers.push("hang");
  const { world, client } = setUp({ getToken });
  const connected = client.connect();
  await settle();
  await client.close();
  await expect(connected).rejects.toMatchObject({ code: "closed" });
  await settle();
  expect(asked[0]?.signal.aborted).toBe(true);
  expect([world.clock.pending, world.watching]).toEqual([0, 0]);
});
