import { choose, clock, element, find, json, Link } from "./common.js";

const ROWS = 200;
const { address, tokens } = await json("/settings/alerts.json");
const me = choose(Object.keys(tokens));
const wanted = new Set(); // what is ticked: calls, or "*"
const positions = new Map(); // where each call was heard to, for coming back
const seen = new Set(); // ids of the alerts in the table
const rows = new Map(); // the label of each call
let count = 0, suppressed = 0, hint = null;

// -- the calls

function row(call) {
  const label = element("label");
  const box = element("input");
  box.type = "checkbox";
  box.addEventListener("change", () => want(call, box.checked));
  const meter = element("meter");
  Object.assign(meter, { min: 1, max: 5, low: 2.5, high: 4, optimum: 5, value: 1, hidden: true });
  meter.setAttribute("aria-label", "quality of " + call);
  label.append(box, element("span", "name", call), meter, element("span", "mos"));
  find("calls").append(label);
  rows.set(call, label);
}

function showQuality({ callId, data }) {
  const label = rows.get(callId);
  if (!label || typeof data.mosScore !== "number") return;
  const meter = label.querySelector("meter");
  meter.hidden = false;
  meter.value = data.mosScore;
  label.querySelector(".mos").textContent = data.mosScore.toFixed(1);
}

async function refresh() {
  const calls = await json("/calls.json").catch(() => [...rows.keys()]);
  for (const [call, label] of rows) {
    if (calls.includes(call)) continue;
    label.remove();
    rows.delete(call);
    positions.delete(call);
    if (wanted.delete(call)) link.send({ type: "unsubscribe", callIds: [call] });
  }
  calls.filter((call) => !rows.has(call)).forEach(row);
}

// -- what is heard

function want(call, yes) {
  if (yes) wanted.add(call);
  else wanted.delete(call);
  positions.delete(call);
  link.send({ type: yes ? "subscribe" : "unsubscribe", callIds: [call] });
}

function subscribeAgain() {
  hint = null;
  if (!wanted.size) return;
  const since = Object.fromEntries([...positions].filter(([call]) => wanted.has(call)));
  link.send({ type: "subscribe", callIds: [...wanted], since });
}

const heard = {
  subscribed({ callIds, denied = [] }) {
    denied.forEach(deny);
    tick(callIds);
  },
  unsubscribed({ callIds }) { tick(callIds); },
  alert(alert) {
    // One that comes late is older than what came before it: it moves no position.
    if (!wanted.has("*") && !alert.late) positions.set(alert.callId, { offset: alert.offset, epoch: alert.epoch });
    suppressed += alert.suppressed ?? 0;
    if (alert.type === "call_quality") showQuality(alert);
    show(alert, false);
  },
  history({ alerts }) { alerts.forEach((alert) => show(alert, true)); },
  shutdown({ retryMs }) { hint = retryMs; },
  error({ message }) { find("denied").textContent = "Refused: " + message; },
};

function deny(call) {
  wanted.delete(call);
  find("denied").textContent = "You may not hear " + (call === "*" ? "all calls at once." : call + ".");
  rows.get(call)?.classList.add("denied");
}

function tick(callIds) {
  find("all").checked = callIds.includes("*");
  for (const [call, label] of rows) label.querySelector("input").checked = callIds.includes(call);
  find("quiet").hidden = callIds.length > 0;
}

// -- the table

function show(alert, earlier) {
  if (seen.has(alert.id)) return;
  seen.add(alert.id);
  const made = element("tr", alert.severity + (earlier ? " earlier" : ""));
  made.dataset.time = alert.timestamp;
  made.dataset.id = alert.id;
  made.append(
    element("td", "when", clock(alert.timestamp)),
    element("td", "call", alert.callId),
    element("td", "severity", alert.severity),
    element("td", "", alert.type),
    element("td", "", details(alert)),
  );
  const table = find("alerts");
  const later = [...table.rows].find((each) => Number(each.dataset.time) <= alert.timestamp);
  table.insertBefore(made, later ?? null);
  while (table.rows.length > ROWS) {
    seen.delete(table.rows[table.rows.length - 1].dataset.id);
    table.deleteRow(-1);
  }
  if (!earlier) count += 1;
  find("count").textContent = count;
  find("suppressed").textContent = suppressed;
}

function details({ data, suppressed: left, late }) {
  const parts = Object.entries(data)
    .filter(([name]) => !["eventType", "anomalyType", "timestamp"].includes(name))
    .map(([name, value]) => name + " " + (typeof value === "object" ? JSON.stringify(value) : value));
  if (left) parts.push(left + " suppressed before it");
  if (late) parts.push("sent late");
  return parts.join(", ");
}

// -- the controls

find("all").addEventListener("change", (event) => want("*", event.target.checked));
find("history").addEventListener("click", () => link.send({ type: "getHistory", limit: 50 }));
find("clear").addEventListener("click", () => {
  find("alerts").replaceChildren();
  seen.clear();
});

const link = new Link(address + "?token=" + encodeURIComponent(tokens[me]), {
  heard: ({ type, payload }) => Object.hasOwn(heard, type) && heard[type](payload),
  opened: subscribeAgain,
  hint: () => hint,
});
await refresh();
setInterval(refresh, 3000);
