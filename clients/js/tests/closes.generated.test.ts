import { expect, it } from "vitest";
import { invitesBack } from "../src/core/closes.js";
import { closeCodes, closeReasons, endings } from "../src/generated.js";

const codes = Object.entries(closeCodes).filter(([code]) => code !== "1008");
const reasons = Object.values(closeReasons).flatMap((words) => Object.entries(words));

it.each(codes)("decides about code %s as the table of the gateway", (code, again) => {
  expect(invitesBack(Number(code), "")).toBe(again);
});

it.each(endings)(
  "decides about $name as the table of the gateway",
  ({ code, reason, reconnect }) => {
    expect(invitesBack(code, reason)).toBe(reconnect);
  },
);

it.each(reasons)("decides about %s as the protocol that words it so", (close, again) => {
  const [code, ...words] = close.split(" ");
  expect(invitesBack(Number(code), words.join(" "))).toBe(again);
});

it.each([
  [1008, "policy violation"],
  [1008, "connection timeout"],
  [1008, "Connection timeout "],
  [1002, "Connection timeout"],
  [4500, "back-pressure threshold exceeded"],
])("takes no reason for that of another close: %i %s", (code, reason) => {
  expect(invitesBack(code, reason)).toBe(false);
});
