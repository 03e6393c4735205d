// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react";
import { Component, useState, type ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RefusedError, StoppedError } from "../../src/index.js";
import {
  PortwardProvider,
  useMessages,
  useRoom,
  type UseRoomOptions,
} from "../../src/react/index.js";
import { FakeRooms } from "./fakes.js";
import { hook, settled, within } from "./provider.js";

let rooms: FakeRooms;
const POSITION = { offset: 0, epoch: "e1" };

beforeEach(() => {
  rooms = new FakeRooms();
});

afterEach(cleanup);

/** A component joins once, says how far it is, and leaves when it is unmounted. */
test("a room is joined and left", async () => {
  const { result, unmount } = hook(rooms, (id: string) => useRoom(id), "lobby");
  expect(result.current).toMatchObject({ state: "joining", error: undefined, gap: undefined });
  act(() => {
    rooms.get().letIn();
  });
  expect(result.current.state).toBe("in");
  expect(result.current.room).toBe(rooms.get());
  unmount();
  await settled();
  expect(rooms.get()).toMatchObject({ joins: 0, joinCalls: 1, leaveCalls: 1 });
  expect(rooms.all).toBe(0);
});

/** StrictMode mounts twice: the room is never left in between, and one join remains. */
test("StrictMode never leaves", async () => {
  const { unmount } = hook(rooms, (id: string) => useRoom(id), "lobby", true);
  await settled();
  expect(rooms.get().joins).toBe(1);
  expect(rooms.get().state).toBe("joining");
  unmount();
  await settled();
  expect(rooms.get().joins).toBe(0);
  expect(rooms.all).toBe(0);
});

/** Switching between rooms a hundred times leaves no listener and no join behind. */
test("switching leaks nothing", async () => {
  const { rerender, unmount } = hook(
    rooms,
    (id: string) => [useRoom(id), useMessages(id, { history: 10 })],
    "room-0",
    true,
  );
  const atFirst = rooms.all;
  for (let turn = 1; turn <= 100; turn += 1) {
    rerender(`room-${turn}`);
    await settled();
    expect(rooms.all).toBe(atFirst);
  }
  expect([...rooms.made.values()].filter((room) => room.joins > 0).map((room) => room.id)).toEqual([
    "room-100",
  ]);
  unmount();
  await settled();
  expect(rooms.all).toBe(0);
  expect([...rooms.made.values()].reduce((sum, room) => sum + room.joins, 0)).toBe(0);
});

/** Options written in place never join again; the handler of the newest render is called. */
test("options in place", async () => {
  const heard: string[] = [];
  const { rerender } = hook(
    rooms,
    (turn: number) =>
      useRoom("lobby", {
        enabled: true,
        getState: () => heard.push(`state ${turn}`),
        onMessage: ({ content }) => heard.push(`${content as string} ${turn}`),
        onTyping: ({ userId }) => heard.push(`${userId} types ${turn}`),
      }),
    0,
  );
  for (let turn = 1; turn <= 20; turn += 1) rerender(turn);
  await settled();
  expect(rooms.get()).toMatchObject({ joinCalls: 1, leaveCalls: 0 });
  act(() => {
    rooms.get().say("hello");
    rooms.get().emit("typing", { roomId: "lobby", userId: "bob", active: true });
    rooms.get().getState?.({ position: POSITION, signal: new AbortController().signal });
  });
  expect(heard).toEqual(["hello 20", "bob types 20", "state 20"]);
});

/** `enabled` joins and leaves; a message is refused while there is no room. */
test("enabled is toggled", async () => {
  const { result, rerender } = hook(
    rooms,
    (enabled: boolean) => useRoom("lobby", { enabled }),
    false,
  );
  expect(result.current).toMatchObject({ state: "out", room: undefined });
  expect(rooms.made.size).toBe(0);
  expect(await result.current.send("hello")).toEqual({
    status: "refused",
    code: "not_joined",
    temporary: true,
  });
  for (let turn = 1; turn <= 3; turn += 1) {
    rerender(true);
    expect(result.current.state).toBe("joining");
    act(() => {
      rooms.get().letIn();
    });
    expect(await result.current.send("hello")).toMatchObject({ status: "stored" });
    result.current.room?.typing(true);
    rerender(false);
    await settled();
    expect(result.current.state).toBe("out");
    expect(rooms.get()).toMatchObject({ joins: 0, joinCalls: turn, leaveCalls: turn });
    expect(rooms.all).toBe(0);
  }
  expect(rooms.get().sent).toHaveLength(3);
  expect(rooms.get().typed).toEqual([true, true, true]);
});

/** A component that goes while its join is under way causes no error and no further render. */
test("unmounted while joining", async () => {
  const failed = vi.fn();
  process.on("unhandledRejection", failed);
  const { result, unmount } = hook(rooms, (id: string) => useRoom(id), "lobby");
  const last = result.current;
  unmount();
  await settled();
  act(() => {
    rooms.get().letIn();
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(result.current).toBe(last);
  expect(rooms.get()).toMatchObject({ joins: 0 });
  expect(failed).not.toHaveBeenCalled();
  process.off("unhandledRejection", failed);
});

/** A refusal, a removal and a stopped connection are given as typed errors; a new join clears them. */
test("errors are given", async () => {
  const { result } = hook(rooms, (id: string) => useRoom(id), "lobby");
  await act(async () => {
    rooms.get().refuse("permission_denied");
    await Promise.resolve();
  });
  expect(result.current.state).toBe("out");
  expect(result.current.error).toMatchObject({ code: "permission_denied" });
  act(() => {
    rooms.get().letIn();
  });
  expect(result.current).toMatchObject({ state: "in", error: undefined });
  act(() => {
    rooms.get().state = "out";
    rooms.get().emit("left", { roomId: "lobby", code: "kicked" });
  });
  expect(result.current.error).toBeInstanceOf(RefusedError);
  expect(result.current.error?.code).toBe("kicked");
  act(() => {
    rooms.get().letIn();
    rooms.get().state = "out";
    rooms.move("stopped", new StoppedError("revoked", "force disconnect", 3503));
  });
  expect(result.current).toMatchObject({
    state: "out",
    error: { code: "revoked", closeCode: 3503 },
  });
});

/** A break of the connection shows as `joining`, its end as `in`. */
test("a break is shown", () => {
  const { result } = hook(rooms, (id: string) => useRoom(id), "lobby");
  act(() => {
    rooms.get().letIn();
  });
  act(() => {
    rooms.get().state = "joining";
    rooms.move("waiting");
  });
  expect(result.current.state).toBe("joining");
  act(() => {
    rooms.get().letIn(true);
  });
  expect(result.current.state).toBe("in");
});

/** Two components of one room, one with messages, share it: the last one leaves. */
test("a room is shared", async () => {
  function Second(): ReactNode {
    return <p>{useMessages("lobby").messages.length}</p>;
  }
  function First(): ReactNode {
    const { state } = useRoom("lobby");
    const [both, setBoth] = useState(true);
    return (
      <>
        <button
          onClick={() => {
            setBoth(false);
          }}
        >
          {state}
        </button>
        {both && <Second />}
      </>
    );
  }
  const { unmount } = render(<First />, { wrapper: within(rooms, true) });
  act(() => {
    rooms.get().letIn();
    rooms.get().say("hello");
  });
  await settled();
  expect(rooms.get().joins).toBe(2);
  act(() => {
    screen.getByRole("button").click();
  });
  await settled();
  expect(rooms.get()).toMatchObject({ joins: 1, state: "in" });
  unmount();
  await settled();
  expect(rooms.get().joins).toBe(0);
});

class Boundary extends Component<
  { readonly children: ReactNode },
  { readonly caught: string | undefined }
> {
  override state: { readonly caught: string | undefined } = { caught: undefined };

  static getDerivedStateFromError(error: RefusedError): { caught: string } {
    return { caught: error.code };
  }

  override render(): ReactNode {
    return this.state.caught === undefined ? this.props.children : `caught ${this.state.caught}`;
  }
}

/** A component may throw the error to a boundary; the room is then left. */
test("an error boundary", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  function Thrower(): ReactNode {
    const { error } = useRoom("lobby");
    if (error) throw error;
    return "fine";
  }
  const { container } = render(
    <Boundary>
      <Thrower />
    </Boundary>,
    { wrapper: within(rooms) },
  );
  expect(container.textContent).toBe("fine");
  await act(async () => {
    rooms.get().refuse("room_full");
    await Promise.resolve();
  });
  await settled();
  expect(container.textContent).toBe("caught room_full");
  expect(rooms.get().joins).toBe(0);
  expect(rooms.all).toBe(0);
});

/** Another client of the provider takes the rooms over; the one before is left. */
test("another client", async () => {
  const other = new FakeRooms();
  function Name(props: { readonly options: UseRoomOptions }): ReactNode {
    return useRoom("lobby", props.options).state;
  }
  const page = (client: FakeRooms): ReactNode => (
    <PortwardProvider client={client}>
      <Name options={{}} />
    </PortwardProvider>
  );
  const { rerender, container } = render(page(rooms));
  act(() => {
    rooms.get().letIn();
  });
  expect(container.textContent).toBe("in");
  rerender(page(other));
  await settled();
  expect(container.textContent).toBe("joining");
  expect(rooms.get().joins).toBe(0);
  expect(rooms.all).toBe(0);
  expect(other.get().joins).toBe(1);
});
