import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";

/** The page of the reference says what the sources say; `make docs` makes it so. */
test("the reference is up to date", () => {
  const script = join(import.meta.dirname, "..", "scripts", "reference.mjs");
  execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" });
});
