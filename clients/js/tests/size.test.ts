import { expect, test } from "vitest";
import { HOOKS, measureHooks, measureOwn, OWN } from "../scripts/measure.mjs";

/** What an application adds to its page stays below the promised size. */
test.each(OWN)("size of %s", async (_name, contents, limit) => {
  const { gzip } = await measureOwn(contents);
  expect(gzip).toBeLessThanOrEqual(limit);
});

/** The hooks add no more than they may. */
test("size of the hooks", async () => {
  expect((await measureHooks()).gzip).toBeLessThanOrEqual(HOOKS[2]);
});
