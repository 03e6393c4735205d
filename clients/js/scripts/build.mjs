// Writes dist: one ES module and one CommonJS module for each source file, the declarations of both,
// and one file for a plain <script>.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { shortened, sources } from "./names.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");

/** Options that every output shares. Names that begin with one underscore are private. */
export const shared = {
  absWorkingDir: root,
  target: "es2022",
  charset: "utf8",
  jsx: "automatic",
  legalComments: "none",
  ...shortened(),
};

async function modules(format, folder) {
  await build({
    ...shared,
    entryPoints: sources().map((name) => join("src", name)),
    outbase: "src",
    outdir: join(dist, folder),
    format,
    platform: "neutral",
  });
}

async function global() {
  await build({
    ...shared,
    entryPoints: ["src/index.ts"],
    outfile: join(dist, "portward.global.js"),
    bundle: true,
    minify: true,
    format: "iife",
    globalName: "portward",
  });
}

function declarations() {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  cpSync(join(dist, "esm"), join(dist, "cjs"), {
    recursive: true,
    filter: (path) => !path.endsWith(".js"),
  });
  writeFileSync(join(dist, "cjs", "package.json"), '{ "type": "commonjs" }\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  await Promise.all([modules("esm", "esm"), modules("cjs", "cjs"), global()]);
  declarations();
}
