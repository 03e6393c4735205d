// A page of React in StrictMode, which mounts every component twice in a development build. The port of the gateway
// and a token stand behind the # of its address; the test is told what happens by its binding `report`.
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { RoomsClient } from "portward";
import { PortwardProvider, useConnection, useMessages, usePresence, useRoom } from "portward/react";

const [port, token] = location.hash.slice(1).split(",");
const report = (record: object): void => globalThis.report(JSON.stringify(record));
const client = new RoomsClient(`ws://localhost:${port}`, { getToken: () => token });

function Room({ onUsers }: { onUsers: (users: readonly string[]) => void }) {
  const { state } = useRoom("strict");
  const { messages } = useMessages("strict", { history: 10 });
  const users = usePresence("strict");
  const connection = useConnection();
  useEffect(() => {
    report({ kind: "mounted" });
    return () => report({ kind: "unmounted" });
  }, []);
  useEffect(() => onUsers(users), [onUsers, users]);
  const texts = messages.map(({ content }) => content);
  useEffect(() => report({ kind: "shown", texts }), [texts.join()]);
  return <p>{`${connection.state} ${state} ${users.join()} ${texts.join()}`}</p>;
}

const told = (users: readonly string[]): void => report({ kind: "users", users });
const root = createRoot(document.getElementById("root")!);
root.render(
  <StrictMode>
    <PortwardProvider client={client}>
      <Room onUsers={told} />
      <Room onUsers={told} />
    </PortwardProvider>
  </StrictMode>,
);
globalThis.unmount = () => root.unmount();
