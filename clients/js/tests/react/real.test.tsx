// @vitest-environment jsdom
import { act, cleanup } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { useConnection, useMessages, usePresence, useRoom } from "../../src/react/index.js";
import { settle, type World } from "../helpers/fake.js";
import { message, type RoomsServer, setUp, up } from "../helpers/rooms.js";
import { hook } from "./provider.js";

afterEach(cleanup);

interface Listening {
  readonly _listeners: Map<PropertyKey, Set<unknown>>;
}

/** Listeners of an emitter of the client. */
function count(emitter: unknown): number {
  return [...(emitter as Listening)._listeners.values()].reduce((sum, { size }) => sum + size, 0);
}

/** Everything of a room that a page may show. */
function useEverything(id: string) {
  return {
    room: useRoom(id),
    list: useMessages(id, { history: 20 }),
    size: usePresence(id, (users) => users.length),
    connection: useConnection(),
  };
}

async function connected(world: World, server: RoomsServer): Promise<void> {
  await act(() => up(world, server));
}

/** Lets promises settle, and React render. */
function settled(): Promise<void> {
  return act(settle);
}

function joins({ socket }: World): unknown[] {
  return socket.all("join").map((frame) => (frame["data"] as { rooms: unknown[] }).rooms);
}

/** In StrictMode four hooks of one room open one socket, and join once; unmounted, they leave once. */
test("one socket and one join", async () => {
  const { world, server, client } = setUp();
  const { result, unmount } = hook(client, useEverything, "lobby", true);
  await connected(world, server);
  expect(world.sockets).toHaveLength(1);
  expect(joins(world)).toEqual([[{ roomId: "lobby" }]]);
  expect(result.current).toMatchObject({
    room: { state: "in" },
    list: { state: "in", messages: [] },
    size: 2,
    connection: { state: "ready" },
  });
  expect(world.socket.all("history")).toHaveLength(1);
  act(() => {
    world.socket.say(message(1));
  });
  expect(result.current.list.messages.map((each) => each.content)).toEqual(["text 1"]);
  expect(await result.current.room.send("hello")).toMatchObject({ status: "stored" });
  unmount();
  await settled();
  expect(world.socket.all("leave")).toHaveLength(1);
  expect(world.sockets).toHaveLength(1);
  await client.close();
  expect(world.clock.pending + world.watching).toBe(0);
});

/** A hundred rooms one after the other: listeners are those of one room, each room is left. */
test("switching a hundred times", async () => {
  const { world, server, client } = setUp();
  const own = [count(client), count(client.room("room-0"))];
  const { rerender, unmount } = hook(client, useEverything, "room-0", true);
  await connected(world, server);
  const [ofClient, ofRoom] = [count(client), count(client.room("room-0"))];
  for (let turn = 1; turn <= 100; turn += 1) {
    rerender(`room-${turn}`);
    await settled();
    const before = client.room(`room-${turn - 1}`);
    expect([count(client), count(before), before.state]).toEqual([ofClient, own[1], "out"]);
    expect(count(before.presence)).toBe(1);
    expect(count(client.room(`room-${turn}`))).toBe(ofRoom);
  }
  expect(world.sockets).toHaveLength(1);
  expect(world.socket.all("leave")).toHaveLength(100);
  expect(joins(world)).toHaveLength(101);
  unmount();
  await settled();
  expect([count(client), count(client.room("room-100"))]).toEqual(own);
});

/** A break shows in the views; what was missed follows, and nothing is read or joined twice. */
test("a break and a recovery", async () => {
  const { world, server, client } = setUp();
  const { result } = hook(client, useEverything, "lobby");
  await connected(world, server);
  act(() => {
    world.socket.say(message(1));
    world.socket.drop();
  });
  await settled();
  expect(result.current).toMatchObject({
    room: { state: "joining" },
    list: { state: "joining" },
    connection: { state: "waiting" },
  });
  server.missed = [message(2)["data"] as Record<string, unknown>];
  server.stand("lobby").offset = 2;
  await act(() => world.go(1000));
  await connected(world, server);
  expect(result.current.list).toMatchObject({ state: "in", gap: undefined });
  expect(result.current.list.messages.map((each) => each.content)).toEqual(["text 1", "text 2"]);
  expect(world.socket.all("history")).toHaveLength(0);
});

/** What cannot be recovered is a gap, and the history is read again. */
test("a gap", async () => {
  const { world, server, client } = setUp();
  const { result } = hook(client, useEverything, "lobby");
  await connected(world, server);
  act(() => {
    world.socket.say(message(1));
    world.socket.drop();
  });
  server.recovers = false;
  server.rooms.set("lobby", { offset: 9, epoch: "e2" });
  await act(() => world.go(1000));
  await connected(world, server);
  expect(result.current.room.gap).toMatchObject({ channel: "lobby", to: { epoch: "e2" } });
  expect(result.current.list.gap).toEqual(result.current.room.gap);
  expect(world.socket.all("history")).toHaveLength(1);
});

/** Unmounted before the socket is open, or before the answer: nothing stays, and nothing is joined. */
test.each(["connecting", "joining"])("unmounted while %s", async (when) => {
  const { world, server, client } = setUp();
  const { unmount } = hook(client, useEverything, "lobby", true);
  if (when === "joining") {
    await settled();
    const { reply } = world.socket;
    world.socket.reply = (frame, socket) => {
      if (frame["type"] !== "join") reply?.(frame, socket);
    };
    server.greet(world.socket);
    await settled();
    expect(joins(world)).toHaveLength(1);
  }
  unmount();
  await settled();
  if (when === "connecting") await connected(world, server);
  expect(client.room("lobby").state).toBe("out");
  expect(joins(world)).toHaveLength(when === "joining" ? 1 : 0);
  const { presence } = client.room("lobby");
  expect([count(client), count(client.room("lobby")), count(presence)]).toEqual([0, 0, 1]);
});

/** A refusal is an error; `enabled` off and on asks again. */
test("a refusal, and enabled", async () => {
  const { world, server, client } = setUp();
  server.failures.set("lobby", { code: "permission_denied" });
  const { result, rerender } = hook(
    client,
    (enabled: boolean) => useRoom("lobby", { enabled }),
    true,
    true,
  );
  await connected(world, server);
  expect(result.current).toMatchObject({ state: "out", error: { code: "permission_denied" } });
  server.failures.clear();
  rerender(false);
  rerender(true);
  await settled();
  expect(result.current).toMatchObject({ state: "in", error: undefined });
  rerender(false);
  await settled();
  expect(client.room("lobby").state).toBe("out");
});

/** After a removal one hook leaving takes nothing from another one that has joined since. */
test("a removal is not given back", async () => {
  const { world, server, client } = setUp();
  const first = hook(client, () => useRoom("lobby"), undefined);
  await connected(world, server);
  act(() => {
    world.socket.say({ type: "room_left", data: { roomId: "lobby", reason: "kicked" } });
  });
  expect(first.result.current).toMatchObject({ state: "out", error: { code: "kicked" } });
  const second = hook(client, () => useRoom("lobby"), undefined);
  await settled();
  first.unmount();
  await settled();
  expect(second.result.current.state).toBe("in");
  expect(client.room("lobby").state).toBe("in");
});

async function revoked(world: World): Promise<void> {
  await act(async () => {
    world.socket.drop(3503, "force disconnect");
    await settle();
  });
}

/** A client that has stopped is shown; after `connect` those who were in and those who came are in. */
test("stopped, and connected again", async () => {
  const { world, server, client } = setUp();
  const before = hook(client, useEverything, "lobby");
  await connected(world, server);
  await revoked(world);
  const stopped = { state: "out", error: { code: client.error?.code } };
  expect(before.result.current).toMatchObject({ room: stopped, connection: { state: "stopped" } });
  const during = hook(client, () => useRoom("lobby"), undefined, true);
  const passing = hook(client, () => useRoom("lobby"), undefined);
  await settled();
  expect(during.result.current).toMatchObject(stopped);
  passing.unmount();
  await settled();
  void client.connect();
  await connected(world, server);
  expect(before.result.current.room).toMatchObject({ state: "in", error: undefined });
  expect(during.result.current).toMatchObject({ state: "in", error: undefined });
  before.unmount();
  await settled();
  expect(client.room("lobby").state).toBe("in");
  during.unmount();
  await settled();
  expect(client.room("lobby").state).toBe("out");
});

/** A closed client is shown as an error, and breaks no component. */
test("closed", async () => {
  const { world, server, client } = setUp();
  const { result } = hook(client, useEverything, "lobby");
  await connected(world, server);
  await act(() => client.close());
  expect(result.current.connection.state).toBe("closed");
  expect(result.current.room.state).toBe("out");
  expect(world.clock.pending + world.watching).toBe(0);
});

/** `getState` is called after a gap, with the function of the newest render, and no gap is given. */
test("getState", async () => {
  const { world, server, client } = setUp();
  const calls: unknown[] = [];
  const { result, rerender } = hook(
    client,
    (turn: number) =>
      useRoom("lobby", { getState: ({ position }) => calls.push([turn, position.offset]) }),
    0,
    true,
  );
  await connected(world, server);
  rerender(1);
  act(() => {
    world.socket.drop();
  });
  server.recovers = false;
  server.rooms.set("lobby", { offset: 9, epoch: "e2" });
  await act(() => world.go(1000));
  await connected(world, server);
  await settled();
  expect(calls).toEqual([
    [0, 0],
    [1, 9],
  ]);
  expect(result.current).toMatchObject({ state: "in", gap: undefined });
});
