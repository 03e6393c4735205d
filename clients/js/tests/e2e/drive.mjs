// Uses the built package, as installed, against a running gateway. Writes what happens as lines of JSON.
// node drive.mjs <endpoint> <url>; the token is in the variable TOKEN, the cookie in COOKIE.
import { createInterface } from "node:readline";
import { Portward } from "portward";
import { NodeWebSocket } from "portward/node";
import { workspace } from "portward/workspaces";
import { io } from "socket.io-client";

const [, , endpoint, url] = process.argv;
const { TOKEN, COOKIE, ORIGIN } = process.env;
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = async () => (await lines.next()).value;

const client = new Portward(url, {
  getToken: () => TOKEN,
  WebSocket: NodeWebSocket,
  headers: { Origin: ORIGIN, ...(COOKIE && { Cookie: COOKIE }) },
});
client.on("state", (state, of) => tell({ state, of }));
client.on("stopped", ({ code, closeCode }, of) => tell({ stopped: code, closeCode, of }));

const scenarios = {
  async rooms() {
    const room = client.room("lobby");
    room.on("gap", (gap) => tell({ gap }));
    room.on("message", ({ content, offset }) => tell({ message: content, offset }));
    room.on("joined", ({ recovered }) => tell({ joined: true, recovered }));
    await room.join();
    tell({ users: room.presence.users });
    for (let said = await told(); said !== "end"; said = await told()) {
      tell({ sent: await room.send(said) });
    }
    tell({ history: (await room.history()).messages.map(({ content }) => content) });
  },
  async alerts() {
    const alerts = client.alerts();
    alerts.on("gap", (gap) => tell({ gap }));
    alerts.on("denied", (event) => tell({ denied: event.callId }));
    alerts.on("alert", ({ type, offset }) => tell({ alert: type, offset }));
    tell({ subscribed: await alerts.subscribe(["call-7"]) });
    tell({ all: await alerts.subscribe(["*"]) });
    await told();
    tell({ history: (await alerts.history("call-7")).map(({ type }) => type) });
  },
  async live() {
    const topic = client.live().topic("event:42");
    topic.on("snapshot", (all) =>
      tell({ snapshot: [...all].map(([key, { data }]) => [key, data]) }),
    );
    topic.on("data", ({ data, offset }) => tell({ data, offset }));
    topic.on("gap", ({ from, to }) => tell({ gap: [from?.offset, to?.offset] }));
    await topic.ready();
    const other = client.live().topic("event:7");
    tell({ forbidden: await other.ready().catch(({ code }) => code) });
    await told();
  },
  async relay() {
    const relay = client.relay();
    relay.on("ended", ({ code, temporary }) => tell({ ended: code, temporary }));
    const events = relay[Symbol.asyncIterator]();
    await relay.connect();
    tell({ model: relay.model, event: (await events.next()).value.type });
    relay.send({ type: "response.create", response: { instructions: "Say hello." } });
    for await (const { type } of events) {
      tell({ event: type });
      if (type === "response.done") break;
    }
    await told();
  },
  async workspaces() {
    const socket = workspace(url.replace(/^ws/, "http"), {
      io,
      getToken: () => TOKEN,
      options: { transports: ["websocket"], extraHeaders: { Origin: ORIGIN } },
      onStopped: ({ code, temporary }) => tell({ stopped: code, temporary }),
    });
    socket.on("connect", () => tell({ connected: true }));
    socket.on("token_expiring", () => tell({ expiring: true }));
    socket.on("dashboard_update", ({ action }) => tell({ update: action }));
    tell(await socket.emitWithAck("join_room", { room: "workspace:w1:dashboard" }));
    tell(await socket.emitWithAck("dashboard_action", { action: "look" }));
    await told();
    socket.disconnect();
  },
};

await scenarios[endpoint]();
await client.close();
tell({ done: true });
process.exitCode = 0;
process.stdin.destroy();
