// @vitest-environment jsdom
import { act, cleanup, render } from "@testing-library/react";
import { memo, type ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useMessages, usePresence, useRoom } from "../../src/react/index.js";
import { FakeRooms } from "./fakes.js";
import { hook, settled, within } from "./provider.js";

let rooms: FakeRooms;

beforeEach(() => {
  rooms = new FakeRooms();
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** Without a selector it is the list itself, empty until somebody is there. */
test("users of a room", () => {
  const { result } = hook(rooms, () => usePresence("lobby"), undefined, true);
  expect(result.current).toEqual([]);
  act(() => {
    rooms.get().letIn();
    rooms.get().show(["alice", "bob"]);
  });
  expect(result.current).toBe(rooms.get().presence.users);
});

/** A selector that is written in place and chooses an equal list gives the list it gave before. */
test("an equal choice keeps its identity", () => {
  let renders = 0;
  const { result } = hook(
    rooms,
    () => {
      renders += 1;
      return usePresence("lobby", (users) => users.filter((user) => user.startsWith("a")));
    },
    undefined,
  );
  act(() => {
    rooms.get().show(["alice", "bob", "anna"]);
  });
  const [chosen, before] = [result.current, renders];
  expect(chosen).toEqual(["alice", "anna"]);
  act(() => {
    rooms.get().show(["alice", "anna", "carol", "dave"]);
  });
  expect(result.current).toBe(chosen);
  expect(renders).toBe(before);
  act(() => {
    rooms.get().show(["anna", "alice"]);
  });
  expect(result.current).toEqual(["anna", "alice"]);
});

/** Another selector is used at once, and `enabled` empties the list. */
test("selectors and enabled change", async () => {
  const { result, rerender } = hook(
    rooms,
    ({ name, enabled }: { name: string; enabled: boolean }) =>
      usePresence("lobby", (users) => users.includes(name), { enabled }),
    { name: "alice", enabled: true },
  );
  act(() => {
    rooms.get().show(["alice"]);
  });
  expect(result.current).toBe(true);
  rerender({ name: "bob", enabled: true });
  expect(result.current).toBe(false);
  rerender({ name: "alice", enabled: false });
  await settled();
  expect(result.current).toBe(false);
  expect(rooms.get().joins).toBe(0);
});

/**
 * A hundred users of whom one comes or goes fifty times a second: a component is rendered only when what
 * it reads is another value. The room's state and its messages read nothing of it.
 */
test("presence renders only what reads it", () => {
  vi.useFakeTimers();
  const renders = new Map<string, number>();
  const count = (name: string): void => {
    renders.set(name, (renders.get(name) ?? 0) + 1);
  };
  const One = memo(function One({ user }: { readonly user: string }): ReactNode {
    count(user);
    return usePresence("lobby", (users) => users.includes(user)) ? user : "";
  });
  const Many = memo(function Many(): ReactNode {
    count("size");
    return usePresence("lobby", (users) => users.length);
  });
  const State = memo(function State(): ReactNode {
    count("state");
    return useRoom("lobby").state;
  });
  const Messages = memo(function Messages(): ReactNode {
    count("messages");
    return useMessages("lobby").messages.length;
  });
  const users = Array.from({ length: 100 }, (_, index) => `u${index}`);
  const { container } = render(
    <>
      {users.map((user) => (
        <One key={user} user={user} />
      ))}
      <Many />
      <State />
      <Messages />
    </>,
    { wrapper: within(rooms) },
  );
  const room = rooms.get();
  act(() => {
    room.letIn();
    room.show(users);
  });
  const before = new Map(renders);
  let turn = 0;
  const churn = setInterval(() => {
    const gone = users[turn % 10];
    turn += 1;
    room.show(turn % 2 ? users.filter((user) => user !== gone) : users);
  }, 20);
  for (let step = 0; step < 500; step += 1) {
    act(() => {
      vi.advanceTimersByTime(20);
    });
  }
  clearInterval(churn);
  expect(turn).toBe(500);
  const more = (name: string): number => (renders.get(name) ?? 0) - (before.get(name) ?? 0);
  const [even, odd] = [users.slice(0, 10).filter((_, i) => i % 2 === 0), users.slice(10)];
  expect(even.map(more)).toEqual(even.map(() => 100));
  expect(odd.map(more)).toEqual(odd.map(() => 0));
  expect([more("size"), more("state"), more("messages")]).toEqual([500, 0, 0]);
  expect(container.textContent).toContain("u99");
});
