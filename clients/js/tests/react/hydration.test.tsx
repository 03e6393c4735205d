// @vitest-environment jsdom
import { act, cleanup, render } from "@testing-library/react";
import { StrictMode, type ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import {
  PortwardProvider,
  useConnection,
  useMessages,
  usePresence,
  useRoom,
} from "../../src/react/index.js";
import { FakeRooms } from "./fakes.js";
import { settled } from "./provider.js";

afterEach(cleanup);

function Page(): ReactNode {
  const { state } = useRoom("lobby");
  const { messages } = useMessages("lobby");
  const size = usePresence("lobby", (users) => users.length);
  return `${state} ${messages.length} ${size} ${useConnection().state}`;
}

function page(rooms: FakeRooms): ReactNode {
  return (
    <StrictMode>
      <PortwardProvider client={rooms}>
        <Page />
      </PortwardProvider>
    </StrictMode>
  );
}

/** A page from a server is taken over without a difference, also where the client is ahead of it. */
test("hydration", async () => {
  const complaints = vi.spyOn(console, "error").mockReturnValue();
  const container = document.body.appendChild(document.createElement("div"));
  container.innerHTML = renderToString(page(new FakeRooms()));
  expect(container.textContent).toBe("joining 0 0 idle");
  const rooms = new FakeRooms();
  rooms.state = "ready";
  rooms.room("lobby").letIn();
  rooms.get().show(["alice", "bob"]);
  render(page(rooms), { container, hydrate: true });
  await settled();
  expect(container.textContent).toBe("in 0 2 ready");
  act(() => {
    rooms.get().say("hello");
  });
  expect(container.textContent).toBe("in 1 2 ready");
  expect(complaints).not.toHaveBeenCalled();
});
