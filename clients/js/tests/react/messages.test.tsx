// @vitest-environment jsdom
import { act, cleanup } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RefusedError } from "../../src/index.js";
import { useMessages, useRoom } from "../../src/react/index.js";
import { FakeRooms } from "./fakes.js";
import { hook, settled } from "./provider.js";

let rooms: FakeRooms;

beforeEach(() => {
  rooms = new FakeRooms();
});

afterEach(cleanup);

/** The newest messages are kept; the array and the view stay the same objects between changes. */
test("messages are collected", async () => {
  const { result, rerender } = hook(rooms, (limit: number) => useMessages("lobby", { limit }), 3);
  act(() => {
    rooms.get().letIn();
    for (const text of ["a", "b", "c", "d"]) rooms.get().say(text);
  });
  const view = result.current;
  expect(view.messages.map((each) => each.content)).toEqual(["b", "c", "d"]);
  rerender(3);
  await settled();
  expect(result.current).toBe(view);
  rerender(2);
  act(() => {
    rooms.get().say("e");
  });
  expect(result.current.messages.map((each) => each.content)).toEqual(["d", "e"]);
  expect(rooms.get().joinCalls).toBe(1);
});

/** Many messages in one turn are one render. */
test("messages of one turn are rendered once", () => {
  let renders = 0;
  hook(
    rooms,
    () => {
      renders += 1;
      return useMessages("lobby", { limit: 1000 });
    },
    undefined,
  );
  act(() => {
    rooms.get().letIn();
  });
  const before = renders;
  act(() => {
    for (let turn = 0; turn < 300; turn += 1) rooms.get().say(`m${turn}`);
  });
  expect(renders).toBe(before + 1);
});

/** Earlier messages are read after joining, before those that came meanwhile, each once. */
test("history is read", async () => {
  const { result } = hook(rooms, () => useMessages("lobby", { history: 20 }), undefined);
  const room = rooms.get();
  const old = [room.message("a"), room.message("b")];
  const live = room.message("c");
  room.pages.push({ messages: [...old, live], position: { offset: 3, epoch: "e1" } });
  await act(async () => {
    room.letIn();
    room.emit("message", live);
    await Promise.resolve();
  });
  act(() => {
    room.say("d");
  });
  expect(room.asked).toEqual([20]);
  expect(result.current.messages.map((each) => each.content)).toEqual(["a", "b", "c", "d"]);
});

/** A hook that comes to a room that is joined already reads its history, too. */
test("history is read in a room that is joined already", async () => {
  rooms.room("lobby").letIn();
  const room = rooms.get();
  room.pages.push({ messages: [room.message("a")], position: { offset: 1, epoch: "e1" } });
  const { result } = hook(rooms, () => useMessages("lobby", { history: 5 }), undefined, true);
  await settled();
  expect(result.current.messages.map((each) => each.content)).toEqual(["a"]);
  expect(result.current.state).toBe("in");
});

/** After a recovery nothing is read; after a failed reading, the next connection reads again. */
test("history is read again only where it is needed", async () => {
  const { result } = hook(rooms, () => useMessages("lobby", { history: 5 }), undefined);
  const room = rooms.get();
  room.pages.push(new RefusedError("unavailable", "away", { temporary: true }));
  await act(async () => {
    room.letIn();
    await Promise.resolve();
  });
  expect(result.current).toMatchObject({ state: "in", error: { code: "unavailable" } });
  await act(async () => {
    room.letIn(true);
    await Promise.resolve();
  });
  expect(room.asked).toEqual([5, 5]);
  expect(result.current.error).toBeUndefined();
  await act(async () => {
    room.letIn(true);
    await Promise.resolve();
  });
  expect(room.asked).toEqual([5, 5]);
});

/** A gap is given; it is gone when the history reaches over it, and stays when it does not. */
test.each([
  ["closed", 2, false],
  ["open", 9, true],
  ["of another epoch", 2, true],
])("a gap that is %s", async (name, first, given) => {
  const heard: unknown[] = [];
  const { result } = hook(
    rooms,
    () => ({
      list: useMessages("lobby", { history: 5 }),
      room: useRoom("lobby", { onGap: (gap) => heard.push(gap.channel) }),
    }),
    undefined,
  );
  const room = rooms.get();
  const epoch = name === "of another epoch" ? "e2" : "e1";
  await act(async () => {
    room.letIn();
    await Promise.resolve();
  });
  act(() => {
    room.say("a");
  });
  const page = { ...room.message("b"), offset: first };
  room.pages.push({ messages: [page], position: { offset: 20, epoch } });
  const gap = { channel: "lobby", from: { offset: 1, epoch: "e1" }, to: { offset: 20, epoch } };
  await act(async () => {
    room.emit("gap", gap);
    room.letIn(false);
    await Promise.resolve();
  });
  expect(result.current.list.gap).toEqual(given ? gap : undefined);
  expect(result.current.room.gap).toEqual(gap);
  expect(heard).toEqual(["lobby"]);
  expect(result.current.list.messages).toEqual([page]);
});
