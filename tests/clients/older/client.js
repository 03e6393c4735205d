"use strict";
// A client of rooms as teams have it in production, for Node and for pages. It knows the messages of the
// first version alone: no ids, no positions, no refresh. It presents its first token whenever it connects.
(function (root) {
  const HEARTBEAT = 30000;
  const ATTEMPTS = 5;
  const KNOWN = ["heartbeat_response", "message", "user_joined", "user_left", "error"];

  class OlderRoomsClient {
    // `timers` has setTimeout, clearTimeout, setInterval, clearInterval and now.
    constructor(url, token, { WebSocket, timers, report }) {
      Object.assign(this, { url, token, WebSocket, timers, report });
      this.attempts = 0;
      this.listeners = new Map();
      for (const kind of KNOWN) this.on(kind, (data) => report({ kind, data }));
    }

    on(kind, listener) {
      this.listeners.set(kind, [...(this.listeners.get(kind) ?? []), listener]);
    }

    connect() {
      return new Promise((resolve, reject) => {
        const socket = new this.WebSocket(this.url);
        this.socket = socket;
        let settled = false;
        socket.onopen = () => {
          this.send("auth", { token: this.token });
        };
        socket.onmessage = (event) => {
          const { type, data } = JSON.parse(event.data);
          if (type === "auth_success") {
            settled = true;
            this.wsToken = data.wsToken; // Kept, and never used.
            this.attempts = 0;
            this.beat();
            resolve(data);
            return;
          }
          if (type === "error" && !settled) {
            settled = true;
            reject(new Error(data.message));
            return;
          }
          for (const listener of this.listeners.get(type) ?? []) listener(data);
        };
        socket.onerror = () => {
          if (!settled) reject(new Error("WebSocket error"));
          settled = true;
        };
        socket.onclose = ({ code, reason }) => {
          if (!settled) reject(new Error("closed"));
          settled = true;
          this.timers.clearInterval(this.heartbeat);
          this.report({ kind: "closed", code, reason });
          if (code !== 1000) this.again();
        };
      });
    }

    beat() {
      this.timers.clearInterval(this.heartbeat);
      this.heartbeat = this.timers.setInterval(() => this.send("heartbeat", {}), HEARTBEAT);
    }

    again() {
      if (this.attempts >= ATTEMPTS) {
        this.report({ kind: "gave up" });
        return;
      }
      this.attempts += 1;
      const seconds = 2 ** this.attempts;
      this.report({ kind: "waiting", attempt: this.attempts, seconds });
      this.timers.setTimeout(() => {
        this.connect().then(
          ({ resumed }) => this.report({ kind: "back", resumed }),
          (error) => this.report({ kind: "failed", message: error.message }),
        );
      }, seconds * 1000);
    }

    send(type, data) {
      if (this.socket.readyState !== 1) return;
      this.socket.send(JSON.stringify({ type, data, timestamp: this.timers.now() }));
    }

    join(roomId) {
      this.send("join", { roomId });
    }

    say(roomId, content) {
      this.send("message", { roomId, content });
    }

    disconnect() {
      this.timers.clearInterval(this.heartbeat);
      this.socket.close(1000, "Client disconnect");
    }
  }

  root.OlderRoomsClient = OlderRoomsClient;
})(globalThis);
