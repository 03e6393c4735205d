// @vitest-environment jsdom
import { act, cleanup } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { Portward } from "../../src/index.js";
import { useAlerts, useConnection, useRoom, useTopic } from "../../src/react/index.js";
import { type FakeSocket, settle, World } from "../helpers/fake.js";
import { RoomsServer } from "../helpers/rooms.js";
import { hook } from "./provider.js";

afterEach(cleanup);

type Frame = Record<string, unknown>;

/** A gateway, as far as these tests need one; every socket is answered by the endpoint of its path. */
class Gateway {
  readonly world = new World();
  readonly rooms = new RoomsServer();
  readonly heard = new Set<string>();
  denied = new Set<string>();
  readonly client: Portward;

  constructor() {
    this.world.onSocket = (socket) => {
      const path = new URL(socket.url).pathname;
      if (path === "/rooms") this.rooms.attach(socket);
      else socket.reply = path === "/alerts" ? this.alerts : this.live;
    };
    this.client = new Portward("wss://host", {
      getToken: () => "token",
      environment: this.world.environment,
    });
  }

  /** The newest socket of an endpoint. */
  socket(path: string): FakeSocket {
    const found = this.world.sockets.filter((each) => new URL(each.url).pathname === path).at(-1);
    if (!found) throw new Error(`no socket for ${path}`);
    return found;
  }

  async open(path: string): Promise<void> {
    await act(async () => {
      await settle();
      if (path === "/rooms") this.rooms.greet(this.socket(path));
      else this.socket(path).open();
      if (path === "/alerts") this.socket(path).say({ type: "handshake", payload: {} });
      await settle();
    });
  }

  readonly alerts = (frame: Frame, socket: FakeSocket): void => {
    const { type, id } = frame;
    const ids = (frame["callIds"] ?? []) as string[];
    const denied = ids.filter((each) => this.denied.has(each));
    if (type === "subscribe") for (const each of ids) if (!this.denied.has(each)) this.add(each);
    if (type === "unsubscribe") for (const each of ids) this.heard.delete(each);
    const payload = { callIds: [...this.heard], ...(denied.length && { denied }) };
    if (type === "getHistory") socket.say({ type: "history", payload: { alerts: [] }, id });
    else socket.say({ type: `${type as string}d`, payload, id });
  };

  /** Who hears all calls is not subscribed to single ones. */
  private add(id: string): void {
    if (id === "*") this.heard.clear();
    if (!this.heard.has("*")) this.heard.add(id);
  }

  readonly live = ({ type, topic, id }: Frame, socket: FakeSocket): void => {
    if (type === "subscribe") {
      const snapshot = [{ key: "score", data: "1:0", ts: 1, offset: 1 }];
      const position = { offset: 1, epoch: "e1" };
      socket.say({ type: "subscribed", topic, id, snapshot, position });
    } else if (type === "unsubscribe") socket.say({ type: "unsubscribed", topic, id });
  };

  tell(callId: string, offset: number): void {
    act(() => {
      this.socket("/alerts").say({
        type: "alert",
        payload: {
          id: `alert_${callId}_${offset}`,
          callId,
          offset,
          epoch: "e1",
          type: "call_quality",
          severity: "high",
          timestamp: 1,
          data: {},
        },
      });
    });
  }
}

function settled(): Promise<void> {
  return act(settle);
}

/** A whole client serves every hook, with one socket an endpoint, in StrictMode too. */
test("one socket an endpoint", async () => {
  const gateway = new Gateway();
  const { result, unmount } = hook(
    gateway.client,
    () => ({
      room: useRoom("lobby"),
      alerts: useAlerts(["call-7"]),
      topic: useTopic("event:42"),
      connections: [useConnection(), useConnection("alerts"), useConnection("live")],
    }),
    undefined,
    true,
  );
  await settled();
  for (const path of ["/rooms", "/alerts", "/live"]) await gateway.open(path);
  expect(gateway.world.sockets).toHaveLength(3);
  gateway.tell("call-7", 1);
  act(() => {
    gateway
      .socket("/live")
      .say({ type: "data", topic: "event:42", key: "score", data: "1:1", ts: 2, offset: 2 });
  });
  expect(result.current).toMatchObject({
    room: { state: "in" },
    alerts: { alerts: [{ callId: "call-7" }], error: undefined },
    topic: { subscribed: true, error: undefined },
    connections: [{ state: "ready" }, { state: "ready" }, { state: "ready" }],
  });
  expect(result.current.topic.snapshot.get("score")?.data).toBe("1:1");
  expect(gateway.socket("/live").all("subscribe")).toHaveLength(1);
  unmount();
  await settled();
  expect(gateway.socket("/live").all("unsubscribe")).toHaveLength(1);
  expect(gateway.socket("/rooms").all("leave")).toHaveLength(1);
  expect([...gateway.heard]).toEqual([]);
  await gateway.client.close();
  expect(gateway.world.clock.pending + gateway.world.watching).toBe(0);
});

/** All calls beside a single one: when nobody wants all calls any more, the single one goes on. */
test("all calls and a single one", async () => {
  const gateway = new Gateway();
  const { client } = gateway;
  const single = hook(client, () => useAlerts(["a"]), undefined);
  const all = hook(client, () => useAlerts(["*"]), undefined);
  await settled();
  await gateway.open("/alerts");
  expect([...gateway.heard]).toEqual(["*"]);
  gateway.tell("a", 1);
  gateway.tell("b", 2);
  expect(single.result.current.alerts).toHaveLength(1);
  expect(all.result.current.alerts).toHaveLength(2);
  all.unmount();
  await settled();
  expect([...gateway.heard]).toEqual(["a"]);
  gateway.tell("a", 3);
  expect(single.result.current.alerts).toHaveLength(2);
});

/** A call that may not be heard is named; the others come. */
test("a denied call", async () => {
  const gateway = new Gateway();
  gateway.denied.add("secret");
  const { result } = hook(gateway.client, () => useAlerts(["a", "secret"]), undefined);
  await settled();
  await gateway.open("/alerts");
  expect(result.current.denied).toEqual(["secret"]);
  gateway.tell("a", 1);
  expect(result.current.alerts).toHaveLength(1);
});

/** A client that stopped before the subscription, and is connected again, subscribes. */
test("alerts after a stop", async () => {
  const gateway = new Gateway();
  const { result } = hook(gateway.client, () => useAlerts(["a"]), undefined);
  await settled();
  act(() => {
    gateway.socket("/alerts").open();
    gateway.socket("/alerts").drop(3507, "permission denied");
  });
  await settled();
  expect(result.current.error).toBeDefined();
  void gateway.client.alerts().connect();
  await gateway.open("/alerts");
  expect([...gateway.heard]).toEqual(["a"]);
  expect(result.current.error).toBeUndefined();
});
