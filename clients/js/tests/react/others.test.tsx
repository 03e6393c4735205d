// @vitest-environment jsdom
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { RefusedError, StoppedError } from "../../src/index.js";
import {
  PortwardProvider,
  useAlerts,
  useClient,
  useConnection,
  useRoom,
  useTopic,
} from "../../src/react/index.js";
import { FakeAlerts, FakeConnection, FakeLive, FakeRooms } from "./fakes.js";
import { hook, settled } from "./provider.js";

afterEach(cleanup);

/** The list of calls is taken by its members: an equal list in place subscribes to nothing anew. */
test("alerts of calls", async () => {
  const alerts = new FakeAlerts();
  const heard: string[] = [];
  const { result, rerender, unmount } = hook(
    alerts,
    (calls: string[]) =>
      useAlerts([...calls], { limit: 2, onAlert: (alert) => heard.push(alert.id) }),
    ["a", "b"],
    true,
  );
  rerender(["b", "a", "a"]);
  await settled();
  expect(alerts.calls.filter((each) => each.startsWith("-"))).toEqual([]);
  act(() => {
    alerts.tell("a", 1);
    alerts.tell("c", 1);
    alerts.tell("b", 1);
    alerts.tell("b", 2);
  });
  expect(result.current.alerts.map((each) => each.id)).toEqual(["alert_b_1", "alert_b_2"]);
  expect(heard).toEqual(["alert_a_1", "alert_b_1", "alert_b_2"]);
  rerender(["b"]);
  await settled();
  expect(result.current.alerts).toEqual([]);
  expect(alerts.calls.filter((each) => each.startsWith("-"))).toEqual(["-a"]);
  unmount();
  await settled();
  expect(alerts.calls.at(-1)).toBe("-b");
  expect(alerts.listeners).toBe(0);
});

/** No calls, or `enabled: false`, subscribe to nothing; `*` hears every call. */
test("no call, and all calls", async () => {
  const alerts = new FakeAlerts();
  const { result, rerender } = hook(
    alerts,
    ({ calls, enabled }: { calls: string[]; enabled: boolean }) => useAlerts(calls, { enabled }),
    { calls: [], enabled: true },
  );
  rerender({ calls: ["a"], enabled: false });
  expect(alerts.calls).toEqual([]);
  rerender({ calls: ["*"], enabled: true });
  await settled();
  act(() => {
    alerts.tell("whichever", 1);
  });
  expect(result.current.alerts).toHaveLength(1);
  expect(alerts.calls).toEqual(["+*"]);
});

/** Calls that may not be heard, gaps and the end of the connection are given. */
test("denied calls, gaps and the end", async () => {
  const alerts = new FakeAlerts();
  const events: unknown[] = [];
  const { result } = hook(
    alerts,
    () =>
      useAlerts(["a", "b"], {
        onDenied: ({ callId }) => events.push(callId),
        onGap: ({ channel }) => events.push(channel),
      }),
    undefined,
  );
  await settled();
  const gap = { channel: "b", from: undefined, to: { offset: 3, epoch: "e" } };
  act(() => {
    alerts.emit("denied", { callId: "a", code: "permission_denied" });
    alerts.emit("denied", { callId: "other", code: "permission_denied" });
    alerts.emit("gap", gap);
    alerts.emit("gap", { ...gap, channel: "other" });
  });
  expect(result.current).toMatchObject({ denied: ["a"], gap });
  expect(events).toEqual(["a", "b"]);
  act(() => {
    alerts.move("stopped", new StoppedError("force_disconnect", "revoked", 3503));
  });
  expect(result.current.error).toMatchObject({ closeCode: 3503 });
});

/** A subscription that fails is given as an error. */
test("alerts that fail", async () => {
  const alerts = new FakeAlerts();
  alerts.failing = new RefusedError("rate_limited", "too many", { temporary: true });
  const { result } = hook(alerts, () => useAlerts(["a"]), undefined);
  await settled();
  expect(result.current.error).toMatchObject({ code: "rate_limited" });
});

/** A topic gives its snapshot, the same map until it changes, and is closed with the component. */
test("a topic", async () => {
  const live = new FakeLive();
  const heard: unknown[] = [];
  const { result, rerender, unmount } = hook(
    live,
    (turn: number) =>
      useTopic("event:42", {
        getState: () => heard.push(`state ${turn}`),
        onData: ({ data }) => heard.push(data),
      }),
    0,
    true,
  );
  await settled();
  const topic = live.topic("event:42");
  topic.close();
  expect(topic.opened).toBe(1);
  await act(async () => {
    topic.accept();
    await Promise.resolve();
  });
  const empty = result.current;
  expect(empty).toMatchObject({ subscribed: true, error: undefined });
  rerender(1);
  expect(result.current).toBe(empty);
  act(() => {
    topic.publish("score", "1:0");
    topic.publish("score", "1:1");
  });
  expect(result.current.snapshot.get("score")?.data).toBe("1:1");
  expect(result.current.snapshot).toBe(topic.snapshot);
  topic.getState?.({ position: { offset: 1, epoch: "e" }, signal: new AbortController().signal });
  expect(heard).toEqual(["1:0", "1:1", "state 1"]);
  unmount();
  await settled();
  expect(topic.opened).toBe(0);
  expect(topic.listeners + live.listeners).toBe(0);
});

/** A topic that may not be heard, a gap, a break and the end of the connection are given. */
test("a topic that fails", async () => {
  const live = new FakeLive();
  const gaps: unknown[] = [];
  const { result } = hook(
    live,
    () => useTopic("event:42", { onGap: (gap) => gaps.push(gap) }),
    undefined,
  );
  const topic = live.topic("event:42");
  await act(async () => {
    topic.forbid(new RefusedError("forbidden", "no"));
    await Promise.resolve();
  });
  expect(result.current).toMatchObject({ subscribed: false, error: { code: "forbidden" } });
  await act(async () => {
    topic.accept();
    await Promise.resolve();
  });
  expect(result.current).toMatchObject({ subscribed: true, error: undefined });
  const gap = { channel: "event:42", from: undefined, to: undefined };
  act(() => {
    topic.emit("gap", gap);
    topic.subscribed = false;
    live.move("waiting");
  });
  expect(result.current).toMatchObject({ subscribed: false, gap });
  expect(gaps).toEqual([gap]);
  act(() => {
    live.move("stopped", new StoppedError("unauthorized", "logged out"));
  });
  expect(result.current.error).toMatchObject({ code: "unauthorized" });
});

/** The connection's state, whether the machine is online, and the error, in one object that stays. */
test("a connection", () => {
  const client = new FakeRooms();
  const { result, rerender, unmount } = hook(client, () => useConnection(), undefined, true);
  const first = result.current;
  expect(first).toEqual({ state: "idle", online: true, error: undefined });
  rerender();
  expect(result.current).toBe(first);
  act(() => {
    client.move("waiting", new StoppedError("lost", "lost"));
    client.go(false);
  });
  expect(result.current).toMatchObject({
    state: "waiting",
    online: false,
    error: { code: "lost" },
  });
  unmount();
  expect(client.listeners).toBe(0);
});

/** An object with some clients gives each hook its own; methods are called as methods. */
test("several clients", async () => {
  const alerts = new FakeAlerts();
  const clients = {
    rooms: new FakeRooms(),
    own: alerts,
    alerts() {
      return this.own;
    },
  };
  const { result } = hook(
    clients,
    () => [useRoom("lobby").state, useConnection("alerts").state, useClient("alerts") === alerts],
    undefined,
  );
  await settled();
  expect(result.current).toEqual(["joining", "idle", true]);
});

/** A hook without its client says which one is missing. */
test.each([
  ["rooms", undefined],
  ["rooms", new FakeAlerts()],
  ["live", new FakeRooms()],
  ["alerts", { rooms: new FakeRooms() }],
] as const)("no client for %s", (endpoint, client) => {
  vi.spyOn(console, "error").mockReturnValue();
  const wrapper = ({ children }: { readonly children: ReactNode }): ReactNode =>
    client ? <PortwardProvider client={client}>{children}</PortwardProvider> : children;
  const used = {
    rooms: () => useRoom("a"),
    live: () => useTopic("a"),
    alerts: () => useAlerts([]),
  };
  expect(() => renderHook(() => used[endpoint](), { wrapper })).toThrow(`a client for ${endpoint}`);
});

/** The fakes are what the types of the provider ask for. */
test("a bare connection is no client", () => {
  expect("room" in new FakeConnection()).toBe(false);
});
