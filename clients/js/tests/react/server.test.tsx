import { StrictMode, type ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import {
  PortwardProvider,
  useAlerts,
  useConnection,
  useMessages,
  usePresence,
  useRoom,
  useTopic,
} from "../../src/react/index.js";
import { FakeAlerts, FakeLive, FakeRooms } from "./fakes.js";

function Page(): ReactNode {
  const { state, room } = useRoom("lobby");
  const shown = {
    state,
    room: room === undefined,
    off: useRoom("lobby", { enabled: false }).state,
    messages: useMessages("lobby", { history: 10 }).messages.length,
    users: usePresence("lobby", (users) => users.length),
    connection: useConnection().state,
    alerts: useAlerts(["*"]).alerts.length,
    topic: useTopic("event:42").snapshot.size,
  };
  return JSON.stringify(shown);
}

/** On a server, without a window, every hook gives the empty state, and nothing is joined or subscribed. */
test("rendering on a server", () => {
  expect(typeof window).toBe("undefined");
  const [rooms, alerts, live] = [new FakeRooms(), new FakeAlerts(), new FakeLive()];
  rooms.room("lobby").show(["alice"]);
  const html = renderToString(
    <StrictMode>
      <PortwardProvider client={{ rooms, alerts: () => alerts, live: () => live }}>
        <Page />
      </PortwardProvider>
    </StrictMode>,
  );
  expect(JSON.parse(html.replaceAll("&quot;", '"'))).toEqual({
    state: "joining",
    room: true,
    off: "out",
    messages: 0,
    users: 0,
    connection: "idle",
    alerts: 0,
    topic: 0,
  });
  expect(rooms.get().joinCalls + alerts.calls.length + live.made.size + rooms.all).toBe(0);
});
