import { expect, test } from "vitest";
import { measureOwn, OWN } from "../scripts/measure.mjs";

/** What an application adds to its page stays below the promised size. */
test.each(OWN)("size of %s", async (_name, contents, limit) => {
  const { gzip } = await measureOwn(contents);
  expect(gzip).toBeLessThanOrEqual(limit);
});
