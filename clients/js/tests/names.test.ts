import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shortened, sources } from "../scripts/names.mjs";

const root = join(import.meta.dirname, "..", "src");

/** Every private name of every file has one short name for all files, which no public name is. */
test("private names are shortened alike in all files", () => {
  const { mangleCache, mangleProps } = shortened();
  const text = sources()
    .map((name) => readFileSync(join(root, name), "utf8"))
    .join("\n");
  const used = new Set([...text.matchAll(/[.{\s](_[a-z]\w*)\b/g)].map((match) => match[1] ?? ""));
  expect(used.size).toBeGreaterThan(50);
  expect([...used].filter((name) => !(name in mangleCache) || !mangleProps.test(name))).toEqual([]);
  const names = Object.values(mangleCache);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
});
