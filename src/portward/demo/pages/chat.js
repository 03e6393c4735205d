import { choose, clock, element, find, json, Link } from "./common.js";

const { address, room, tokens } = await json("/settings/chat.json");
const me = choose(Object.keys(tokens));
const people = new Set();
let position, session, joinedAt, hint = null, counter = 0, typed = false;

function send(type, data, id) {
  return link.send({ type, data, timestamp: Date.now(), ...(id && { id }) });
}

function add(item) {
  const talk = find("talk");
  const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
  talk.append(item);
  while (talk.childElementCount > 500) talk.firstElementChild.remove();
  if (atEnd) talk.scrollTop = talk.scrollHeight;
}

const note = (text) => add(element("li", "note", text));

function show(message, missed) {
  if (position && message.offset <= position.offset) return;
  if (position) position.offset = message.offset;
  add(line(message, missed));
}

function line(message, missed) {
  const item = element("li", missed ? "missed" : "");
  const content = typeof message.content === "string" ? message.content : JSON.stringify(message.content);
  item.append(
    element("span", "who", message.userId ?? "the backend"),
    element("span", "", content),
    element("span", "when", clock(message.timestamp)),
  );
  return item;
}

function showPeople() {
  find("people").replaceChildren(...[...people].sort().map((user) => element("li", "", user)));
}

const heard = {
  handshake() {
    send("auth", session ? { wsToken: session } : { token: tokens[me] }, "auth");
  },
  auth_success(data) {
    session = data.wsToken;
    find("status").textContent = data.resumed ? "connected, session resumed" : "connected";
    send("join", { roomId: room, ...(position && { since: position }) }, "join");
  },
  room_joined(data) {
    people.clear();
    data.participants.forEach((user) => people.add(user));
    showPeople();
    if (data.recovered === false) note("Some messages are gone: the gateway keeps them no longer.");
    (data.messages ?? []).forEach((message) => show(message, true));
    const first = !position;
    position = data.position;
    if (!first) return;
    joinedAt = position.offset;
    send("history", { roomId: room, limit: 20 }, "history");
  },
  history(data) {
    const earlier = data.messages.filter((message) => message.offset <= joinedAt);
    find("talk").prepend(...earlier.map((message) => line(message)));
    find("talk").scrollTop = find("talk").scrollHeight;
  },
  message(data) { show(data); },
  user_joined(data) { people.add(data.userId); showPeople(); note(data.userId + " is here"); },
  user_left(data) { gone(data, "left"); },
  user_disconnected(data) { gone(data, "is gone"); },
  typing(data) { find("typing").textContent = data.active ? data.userId + " is typing" : ""; },
  shutdown(data) { hint = data.retryMs; note("The gateway is shutting down; coming back soon."); },
  error(data, id) {
    if (id === "auth" && session) {
      session = undefined;
      send("auth", { token: tokens[me] }, "auth");
      return;
    }
    note("Refused: " + data.message);
  },
};

function gone(data, how) {
  people.delete(data.userId);
  showPeople();
  find("typing").textContent = "";
  note(data.userId + " " + how);
}

const link = new Link(address, {
  heard: ({ type, data, id }) => Object.hasOwn(heard, type) && heard[type](data, id),
  opened() { hint = null; },
  hint: () => hint,
});

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = find("text").value.trim();
  if (!content) return;
  if (!send("message", { roomId: room, content }, "m" + ++counter)) return note("Not connected.");
  find("text").value = "";
  typed = false;
});

find("text").addEventListener("input", () => {
  const active = find("text").value !== "";
  if (active === typed) return;
  typed = active;
  send("typing", { roomId: room, active });
});
