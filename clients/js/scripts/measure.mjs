// Bundles what an application imports, minified, and says how large it is.
import { gzipSync } from "node:zlib";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { shortened } from "./names.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** What applications import of this package, with the most bytes that it may add. */
export const OWN = [
  ["rooms alone", 'export { RoomsClient } from "./src/index.ts";', 8_192],
  ["everything", 'export * from "./src/index.ts";', 10_240],
];

/** What the hooks add to an application that has everything, with the most bytes that it may be. */
export const HOOKS = [
  "hooks, beside everything",
  'export * from "./src/index.ts"; export * from "./src/react/index.ts";',
  2_048,
];

/** Other clients: what an application imports to use one. */
export const PEERS = [
  ["reconnecting-websocket", 'export { default } from "reconnecting-websocket";'],
  ["partysocket", 'export { WebSocket } from "partysocket";'],
  ["phoenix", 'export { Socket } from "phoenix";'],
  ["socket.io-client", 'export { io } from "socket.io-client";'],
  ["@supabase/realtime-js", 'export { RealtimeClient } from "@supabase/realtime-js";'],
  ["centrifuge", 'export { Centrifuge } from "centrifuge";'],
  ["ably", 'export { Realtime } from "ably";'],
];

/** Bytes of a bundle of these lines: minified, and minified and compressed. */
export async function measure(contents, folder = root, options = {}) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    jsx: "automatic",
    ...options,
  });
  const bytes = outputFiles[0].contents;
  return { minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}

/** Bytes of this package; its private names are shortened as in the build. */
export function measureOwn(contents, options = {}) {
  return measure(contents, root, { ...shortened(), ...options });
}

/** Bytes that the hooks add; React itself is not counted. */
export async function measureHooks() {
  const all = OWN.find(([name]) => name === "everything");
  const external = ["react"];
  const without = await measureOwn(all[1], { external });
  const beside = await measureOwn(HOOKS[1], { external });
  return { minified: beside.minified - without.minified, gzip: beside.gzip - without.gzip };
}
