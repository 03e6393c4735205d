import { choose, clock, element, find, json, Link } from "./common.js";

const { address, workspace, tokens } = await json("/settings/workspaces.json");
const me = choose(Object.keys(tokens));
const requests = new Map(); // by id: the line of a request that waits, and the timer of its end
let hint = null;

function log(text) {
  find("log").prepend(element("li", "", clock(Date.now()) + " " + text));
  while (find("log").childElementCount > 30) find("log").lastElementChild.remove();
}

const show = (value) => typeof value === "string" ? value : JSON.stringify(value);

// -- Socket.IO over a WebSocket: one digit says what an Engine.IO packet is, the next what is in a message

const waiting = new Map(); // by number: who waits for an acknowledgement
let number = 0;

function packet(text) {
  if (text[0] === "0") link.write("40" + JSON.stringify({ token: tokens[me] }));
  else if (text[0] === "2") link.write("3");
  else if (text[0] === "4") message(text.slice(1));
}

function message(text) {
  const [, kind, id, rest] = /^(\d)(\d*)(.*)$/s.exec(text);
  const data = rest ? JSON.parse(rest) : null;
  if (kind === "0") enter();
  else if (kind === "1") link.stopped = true; // sent out: not to come back
  else if (kind === "2") hear(...data);
  else if (kind === "3") answer(Number(id), data[0]);
}

function hear(event, data) {
  if (Object.hasOwn(heard, event)) heard[event](data);
}

function answer(id, data) {
  waiting.get(id)?.(data);
  waiting.delete(id);
}

// Emits an event and waits for the acknowledgement, which has an `error` when it was refused.
function call(event, data) {
  return new Promise((done) => {
    number += 1;
    if (link.write("42" + number + JSON.stringify([event, data]))) waiting.set(number, done);
    else done({ error: "NOT_CONNECTED" });
  });
}

async function told(event, data, what) {
  const { error } = await call(event, data);
  if (error) log("Refused (" + error + "): " + what);
  return !error;
}

// -- the workspace

async function enter() {
  hint = null;
  [...requests.keys()].forEach(forget);
  await told("join_room", { room: "workspace:" + workspace + ":dashboard" }, "join the dashboard");
  await told("join_room", { room: "workspace:" + workspace + ":approvals" }, "join the approvals");
  await recall();
}

const heard = {
  figures(data) {
    find("figures").replaceChildren(...Object.entries(data).flatMap(([name, value]) => [
      element("dt", "soft", name),
      element("dd", "score", String(value)),
    ]));
  },
  dashboard_update({ action, userId }) { log(userId + " did: " + action); },
  approval_requested: request,
  approval_resolved({ requestId, decision, userId, comment }) {
    const asked = forget(requestId);
    if (asked) log(userId + " says " + decision + ": " + asked + (comment ? " (" + comment + ")" : ""));
  },
  state_changed({ key, value, version: newer }) { if (key === "note") take(value, newer); },
  room_left({ room, reason }) { log("No longer in " + room + ": " + show(reason)); },
  token_expiring() { log("The token runs out soon."); },
  shutdown({ retryMs }) { hint = retryMs; log("The gateway is shutting down; coming back soon."); },
  error({ code }) { log("Refused: " + code); },
};

find("refresh").addEventListener("click", () => told("dashboard_action", { action: "refresh" }, "refresh"));
find("reset").addEventListener("click", () => told("dashboard_action", { action: "reset" }, "reset"));

// -- approvals

function request({ requestId, title, data, expiresAt }) {
  if (requests.has(requestId)) return;
  const line = element("li");
  line.append(element("p", "", title), element("p", "soft", data?.reason ?? show(data)));
  for (const [decision, name, kind] of [["approve", "Approve", ""], ["reject", "Reject", "plain"]]) {
    const button = element("button", kind, name);
    button.addEventListener("click", () => told("approval_response", { requestId, decision }, decision + ": " + title));
    line.append(button, " ");
  }
  const end = setTimeout(() => forget(requestId), Math.max(0, expiresAt - Date.now()));
  requests.set(requestId, { line, title, end });
  find("approvals").append(line);
  find("nothing").hidden = true;
}

// Takes a request away; returns its title, if it was there.
function forget(id) {
  const found = requests.get(id);
  requests.delete(id);
  clearTimeout(found?.end);
  found?.line.remove();
  find("nothing").hidden = requests.size > 0;
  return found?.title;
}

// -- the note: the gateway counts its versions, so that two windows cannot overwrite each other unseen

let version = 0, typing = null;

function take(value, newer) {
  if (newer <= version) return;
  version = newer;
  find("note").value = value;
}

async function share(value) {
  const said = await call("state_sync", { key: "note", value, version });
  if (said.ok) version = said.version;
  else if (said.error === "CONFLICT") take(said.value, said.version);
  else log("Refused (" + said.error + "): the note");
}

// Asks what the note is: setting one of version 0 is refused, with the note, when there is one already.
async function recall() {
  version = 0;
  await share(find("note").value);
}

find("note").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => share(find("note").value), 500);
});
find("twin").href = "?as=" + encodeURIComponent(me);

const link = new Link(address + "?EIO=4&transport=websocket", {
  heard: packet,
  parse: (text) => text,
  hint: () => hint,
  again: async () => {
    waiting.forEach((done) => done({ error: "NOT_CONNECTED" }));
    waiting.clear();
    return true;
  },
});
