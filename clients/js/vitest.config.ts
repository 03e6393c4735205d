import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"],
    environment: "node",
    maxWorkers: 2,
    restoreMocks: true,
    testTimeout: 20_000,
  },
});
