import { expect, test } from "vitest";
import { PortwardError, RefusedError, UnauthorizedError } from "../src/index.js";

/** Errors carry a code, whether waiting helps, and the named wait only when there is one. */
test("errors are typed", () => {
  const error = new RefusedError("rate_limited", "Too many", {
    temporary: true,
    retryAfterMs: 840,
  });
  expect(error).toBeInstanceOf(PortwardError);
  expect(error).toMatchObject({ code: "rate_limited", temporary: true, retryAfterMs: 840 });
  expect("retryAfterMs" in new UnauthorizedError()).toBe(false);
});
