import { clock, element, find, json, Link } from "./common.js";

const { address, boards, revalidate, users } = await json("/settings/live.json");
const ME = "/users/me?fields=id,email,first_name";
const shown = new Map(); // by topic: the board and what is on it
let link = null;

const me = async () => (await json(ME).catch(({ status }) => status === 401 ? null : Promise.reject()))?.data ?? null;

function log(text) {
  find("log").prepend(element("li", "", clock(Date.now()) + " " + text));
  while (find("log").childElementCount > 30) find("log").lastElementChild.remove();
}

// -- logging in and out

async function login(email, password) {
  const body = JSON.stringify({ email, password });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/auth/login", { method: "POST", headers, body });
  find("refused").textContent = response.ok ? "" : "Wrong e-mail or password.";
  if (!response.ok) return;
  log("Logged in as " + email + ": the browser holds a cookie that this page cannot read.");
  await enter();
}

find("login").addEventListener("submit", (event) => {
  event.preventDefault();
  login(find("email").value, find("password").value);
});

for (const { email, password, may } of users) {
  const item = element("li");
  const button = element("button", "plain", "Be " + email.split("@")[0]);
  button.type = "button";
  button.addEventListener("click", () => login(email, password));
  const words = element("span", "", email);
  words.append(element("span", "soft", ", password " + password + ", " + may));
  item.append(button, words);
  find("accounts").append(item);
}

find("logout").addEventListener("click", async () => {
  await fetch("/auth/logout", { method: "POST" });
  log("Logged out at the identity provider. The connection ends when the gateway next asks, within " + revalidate + " s.");
  find("who").hidden = true;
  find("login").hidden = false;
});

// -- the connection

async function enter() {
  const user = await me();
  find("who").hidden = !user;
  find("login").hidden = Boolean(user);
  if (!user) return;
  find("me").textContent = user.email;
  if (link) {
    link.stopped = true;
    link.socket.close();
  }
  shown.forEach(({ part }) => part.replaceChildren());
  const own = new Link(address, {
    opened: () => shown.forEach((_, topic) => ask(own, topic)),
    heard: (message) => own === link && Object.hasOwn(heard, message.type) && heard[message.type](message),
    again: async () => (await me().catch(() => true)) !== null,
  });
  own.onend = async (why) => {
    log("The connection has ended: " + why);
    const still = await me().catch(() => null);
    find("who").hidden = !still;
    find("login").hidden = Boolean(still);
  };
  link = own;
}

const ask = (own, topic) => own.send({ type: "subscribe", topic, id: topic });

const heard = {
  subscribed({ topic, snapshot }) {
    const board = shown.get(topic);
    board.values = {};
    snapshot.forEach(({ key, data }) => { board.values[key] = data; });
    draw(board);
    log("Subscribed to " + topic + ": a snapshot of " + snapshot.length + " keys, updates from here on.");
  },
  data({ topic, key, data }) {
    const board = shown.get(topic);
    if (!board) return;
    board.values[key] = data;
    draw(board);
    if (key === "score") log("News of " + topic + ": " + JSON.stringify(data));
  },
  error({ code, message, topic }) {
    log("Refused (" + code + "): " + message + (topic ? ": " + topic : ""));
    shown.get(topic)?.part.replaceChildren(element("p", "critical severity", code + ": " + message));
  },
};

// -- the boards

function draw({ part, values }) {
  const { score, clock: time, possession, ...rest } = values;
  part.replaceChildren();
  if (Array.isArray(score)) {
    const [home, away] = score;
    part.append(element("p", "score", home.team + " " + home.goals + " : " + away.goals + " " + away.team));
  }
  if (time) part.append(element("p", "", time.phase + ", minute " + time.minute));
  if (possession) {
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: 100, value: possession.home });
    meter.setAttribute("aria-label", "possession of the home team in percent");
    part.append(element("p", "soft", "possession " + possession.home + " : " + possession.away), meter);
  }
  for (const [key, value] of Object.entries(rest)) {
    part.append(element("p", "", (key === "undefined" ? "news" : key) + ": " + JSON.stringify(value)));
  }
}

for (const { topic, title } of boards) {
  const card = element("section", "card board");
  const part = element("div");
  card.append(element("h2", "", title), element("p", "soft", topic), part);
  find("boards").append(card);
  shown.set(topic, { part, values: {} });
}

await enter();
