// What the pages share. Whatever came from elsewhere is shown as text, never as markup.

export const find = (id) => document.getElementById(id);

export async function json(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw Object.assign(new Error(path), { status: response.status });
  return response.json();
}

export function element(tag, kind, text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString();

// Who of `users` this window is, by ?as=; the others are one link away.
export function choose(users) {
  const asked = new URLSearchParams(location.search).get("as");
  const me = users.includes(asked) ? asked : users[0];
  const other = users.find((user) => user !== me);
  find("me").textContent = me;
  find("other").textContent = "Be " + other + " in another window";
  find("other").href = "?as=" + encodeURIComponent(other);
  return me;
}

// The codes that say: do not come back.
const ended = (code) => (code >= 3500 && code < 4000) || code === 1008;

// Keeps a connection. `hint()` is how long the gateway asked to be left alone, in milliseconds; `again()`
// may say, when the connection is gone, that there is no point in another. What comes goes through `parse`.
export class Link {
  constructor(address, { opened, heard, hint = () => null, again = async () => true, parse = JSON.parse }) {
    Object.assign(this, { address, opened, heard, hint, again, parse, attempt: 0, stopped: false });
    this.connect();
  }

  connect() {
    find("status").textContent = "connecting";
    this.socket = new WebSocket(this.address);
    this.socket.onopen = () => {
      this.attempt = 0;
      find("status").textContent = "connected";
      this.opened?.();
    };
    this.socket.onmessage = (event) => this.heard(this.parse(event.data));
    this.socket.onclose = (event) => this.closed(event);
  }

  async closed({ code, reason }) {
    const why = reason || code;
    if (this.stopped || ended(code) || !(await this.again(code, reason))) {
      find("status").textContent = "closed: " + why;
      this.onend?.(why);
      return;
    }
    const wait = this.hint() ?? Math.random() * Math.min(30000, 500 * 2 ** this.attempt++);
    find("status").textContent = "not connected, trying again";
    setTimeout(() => this.connect(), wait);
  }

  send(message) {
    return this.write(JSON.stringify(message));
  }

  write(text) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    return true;
  }
}
