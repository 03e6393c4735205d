// Runs the lines of the page with one library: argv are the library, its lines and those of `comesBack`.
// Timers run fifty times as fast. Prints a line for each connection and each close.
import vm from "node:vm";
import { WebSocket } from "ws";

const [library, url, token, lines] = process.argv.slice(2);
const faster = (call, ms = 0, ...rest) => realTimeout(call, ms / 50, ...rest);
const realTimeout = globalThis.setTimeout;
globalThis.setTimeout = faster;

class Counted extends WebSocket {
  constructor(...given) {
    super(...given);
    console.log("attempt");
    this.on("open", () => {
      this.send(JSON.stringify({ type: "auth", data: { token }, timestamp: 0 }));
    });
    this.on("message", (data) => {
      if (JSON.parse(data).type === "auth_success") console.log("authenticated");
    });
    this.on("close", (code) => console.log(`closed ${code}`));
  }
}
globalThis.WebSocket = Counted;

const known = {
  url,
  WebSocket: Counted,
  setTimeout: faster,
};
if (library === "partysocket") known.PartySocket = (await import(library)).WebSocket;
if (library === "reconnecting-websocket") known.ReconnectingWebSocket = (await import(library)).default;
vm.runInNewContext(lines, known);
