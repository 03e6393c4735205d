import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Publisher, PublisherError, type PublisherOptions } from "../../src/server/index.js";
import { sleep } from "../../src/server/retries.js";

const KEY = "a-key-that-is-nowhere-shown";
const URL_ = "http://127.0.0.1:8081";
type Step = { status?: number; body?: unknown; text?: string; retryAfter?: string } | "broken";

const done: Step = { body: { result: { offset: 7, epoch: "e" } } };
const refused = (status: number, retryAfter?: string): Step => ({
  status,
  body: { error: { code: 1, message: "no" } },
  ...(retryAfter === undefined ? {} : { retryAfter }),
});

function response({ status = 200, body = {}, text, retryAfter }: Exclude<Step, string>): Response {
  const headers = new Headers();
  if (retryAfter !== undefined) headers.set("Retry-After", retryAfter);
  return new Response(text ?? JSON.stringify(body), { status, headers });
}

/** A publisher whose answers follow a list, the last one again and again, and whose time passes in waits alone. */
function scripted(steps: Step[], options: PublisherOptions = {}, random = () => 1) {
  const waits: number[] = [];
  const bodies: Record<string, unknown>[] = [];
  const left = [...steps];
  const fetcher = (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    expect(url).toBe(`${URL_}/api/publish`);
    expect(new Headers(init?.headers).get("Authorization")).toBe(`apikey ${KEY}`);
    expect(init?.redirect).toBe("manual");
    bodies.push(JSON.parse(init?.body as string) as Record<string, unknown>);
    const step = left.length > 1 ? left.shift() : left[0];
    if (step === "broken" || step === undefined)
      return Promise.reject(new TypeError("fetch failed"));
    return Promise.resolve(response(step));
  };
  const publisher = new Publisher(URL_, KEY, {
    ...options,
    environment: {
      fetch: fetcher,
      random,
      now: () => waits.reduce((sum, each) => sum + each, 0),
      sleep: (ms) => {
        waits.push(ms);
        return Promise.resolve();
      },
      ...options.environment,
    },
  });
  return { publisher, waits, bodies };
}

async function failure(promise: Promise<unknown>): Promise<PublisherError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PublisherError);
  return error as PublisherError;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("what failed for the moment", () => {
  const failures: Step[] = [
    "broken",
    ...[408, 425, 429, 500, 503].map((status) => refused(status)),
    { status: 502, text: "<html>a proxy's page</html>" },
    { status: 504, text: "" },
  ];
  it.each(failures)("is repeated with the same body: %j", async (step) => {
    const { publisher, waits, bodies } = scripted([step, step, done]);
    expect((await publisher.publish("rooms:a", { x: 1 })).offset).toBe(7);
    expect(bodies).toHaveLength(3);
    expect(new Set(bodies.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(bodies[0]?.["idempotency_key"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(waits).toEqual([250, 500]);
  });

  it("is given up after the last attempt, with waits that grow up to a bound", async () => {
    const retries = { attempts: 8, longestMs: 2000, withinMs: 1e6 };
    const { publisher, waits } = scripted([refused(503)], { retries });
    const error = await failure(publisher.publish("rooms:a", 1));
    expect([error.code, error.temporary, error.status, error.number]).toEqual([
      "unavailable",
      true,
      503,
      1,
    ]);
    expect(waits).toEqual([250, 500, 1000, 2000, 2000, 2000, 2000]);
  });

  it("is given up when no wait ends in time", async () => {
    const { publisher, waits } = scripted([refused(503)], {
      retries: { attempts: 1000, withinMs: 10_000 },
    });
    await failure(publisher.publish("rooms:a", 1));
    expect(waits.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(10_000);
  });

  it.each([
    ["3", 0, 3000],
    ["3", 1, 3750],
    ["1", 1, 1500],
  ])("waits at least as long as Retry-After %s says", async (value, random, wait) => {
    const { publisher, waits } = scripted([refused(429, value), done], {}, () => random);
    await publisher.publish("rooms:a", 1);
    expect(waits).toEqual([wait]);
  });

  it.each(["soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"])(
    "ignores Retry-After %s",
    async (value) => {
      const { publisher, waits } = scripted([refused(503, value), done]);
      await publisher.publish("rooms:a", 1);
      expect(waits).toEqual([250]);
    },
  );

  it("is raised with the time where that is too late to wait for", async () => {
    const { publisher, waits } = scripted([refused(503, "3600")]);
    expect((await failure(publisher.publish("rooms:a", 1))).retryAfterMs).toBe(3_600_000);
    expect(waits).toEqual([]);
  });
});

describe("what lasts", () => {
  it.each([400, 401, 403, 404, 409, 413, 416, 501])("is raised at once: %i", async (status) => {
    const { publisher, waits } = scripted([refused(status)]);
    const error = await failure(publisher.publish("rooms:a", 1));
    expect([error.status, error.temporary]).toEqual([status, false]);
    expect(error.code).not.toBe("refused");
    expect(waits).toEqual([]);
  });

  it.each<Step>([
    { text: "hello" },
    { body: [1] },
    { body: { result: 1 } },
    { body: { result: null } },
    { status: 302, text: "" },
    { status: 404, text: "no such page" },
  ])("is an answer of another server: %j", async (step) => {
    const { publisher } = scripted([step]);
    expect((await failure(publisher.publish("rooms:a", 1))).code).toBe("unexpected_answer");
  });
});

describe("time and signals", () => {
  const silent: typeof fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener("abort", () => {
        reject(init.signal?.reason as Error);
      });
    });

  it("gives an attempt up after the time-out", async () => {
    const { publisher } = scripted([], {
      timeoutMs: 20,
      retries: { attempts: 1 },
      environment: { fetch: silent },
    });
    const error = await failure(publisher.publish("rooms:a", 1));
    expect([error.code, error.temporary]).toEqual(["timeout", true]);
  });

  it("stops for the signal of the caller, during an attempt and during a wait", async () => {
    const during = new AbortController();
    const { publisher } = scripted([], { environment: { fetch: silent } });
    const call = publisher.publish("rooms:a", 1, { signal: during.signal });
    during.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    await expect(publisher.publish("rooms:a", 1, { signal: during.signal })).rejects.toThrow(
      "enough",
    );
    const waiting = new AbortController();
    const wait = sleep(1e6, waiting.signal);
    waiting.abort(new Error("enough"));
    await expect(wait).rejects.toThrow("enough");
  });

  it("leaves no timer and no listener behind after a wait", async () => {
    vi.useFakeTimers();
    const control = new AbortController();
    const removed = vi.spyOn(control.signal, "removeEventListener");
    const wait = sleep(10, control.signal);
    await vi.advanceTimersByTimeAsync(10);
    await wait;
    expect(removed).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("keys and data", () => {
  it("gives each call and each command of a batch a key of its own, unless it has one", async () => {
    const bodies: unknown[] = [];
    const fetcher: typeof fetch = (_, init) => {
      bodies.push(JSON.parse(init?.body as string));
      return Promise.resolve(
        Response.json({ result: { replies: [], responses: [], ids: [], id: "" } }),
      );
    };
    const publisher = new Publisher(URL_, KEY, { environment: { fetch: fetcher } });
    await publisher.broadcast(["rooms:a"], 1);
    await publisher.alert({ callId: "c", type: "t", severity: "low", data: {} });
    await publisher.analysis({ event: "result", payload: {} });
    await publisher.publish("rooms:a", 1, { idempotency_key: "mine" });
    const keys = bodies.map((each) => (each as { idempotency_key: string }).idempotency_key);
    expect(new Set(keys).size).toBe(4);
    expect(keys[3]).toBe("mine");
    await publisher.batch([
      { publish: { channel: "rooms:a", data: 1 } },
      { roles_get: { user: "ann" } },
    ]);
    const { commands } = bodies[4] as { commands: Record<string, { idempotency_key?: string }>[] };
    expect(commands[0]?.["publish"]?.idempotency_key).toBeDefined();
    expect(commands[1]).toEqual({ roles_get: { user: "ann" } });
  });

  it("shows the API key nowhere", async () => {
    const { publisher } = scripted([refused(401)]);
    const error = await failure(publisher.publish("rooms:a", "what was to be published"));
    const shown = [inspect(publisher, { depth: 9, showHidden: true }), JSON.stringify(publisher)];
    shown.push(inspect(error, { depth: 9 }), String(error.stack));
    expect(shown.join("\n")).not.toContain(KEY);
    expect(shown.join("\n")).not.toContain("to be published");
  });

  it.each([
    "",
    "127.0.0.1:8081",
    "ftp://host",
    "http://user:secret@host",
    "http://h?x",
    "http://h#x",
    "ws://h",
  ])("refuses the address %s without repeating it", (url) => {
    expect(() => new Publisher(url, KEY)).toThrow(/^the address of an admin listener/);
  });

  it.each(["", " ", " k", "k ", "k\n", "k\r\nX: y", "ключ"])("refuses the key %j", (key) => {
    expect(() => new Publisher(URL_, key)).toThrow(/^an API key is made/);
  });

  it.each([NaN, [Infinity], { a: -Infinity }, 1n])("refuses data that is no JSON", async (data) => {
    const { publisher, bodies } = scripted([done]);
    await expect(publisher.publish("rooms:a", data)).rejects.toThrow(TypeError);
    expect(bodies).toEqual([]);
  });
});
