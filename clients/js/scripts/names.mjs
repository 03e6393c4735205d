// Short names for the private members of the package, which begin with one underscore. Every file is built
// for itself, and classes of one file inherit from those of another: so all must be given the same names.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const source = join(dirname(fileURLToPath(import.meta.url)), "..", "src");
const PRIVATE = /(?<![\w$])_[a-z]\w*/g;

/** Source files, as paths below the folder of the sources. */
export function sources() {
  return readdirSync(source, { recursive: true })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .sort();
}

/** Options of esbuild that shorten the private names, in the same way in every build. */
export function shortened() {
  const texts = sources().map((name) => readFileSync(join(source, name), "utf8"));
  const counts = new Map();
  for (const [name] of texts.flatMap((text) => [...text.matchAll(PRIVATE)])) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const names = [...counts.keys()].sort(
    (a, b) => counts.get(b) - counts.get(a) || (a < b ? -1 : 1),
  );
  const taken = new Set(texts.flatMap((text) => text.match(/\b[a-zA-Z]{1,2}\b/g) ?? []));
  const free = short(taken);
  return {
    mangleProps: /^_[a-z]/,
    mangleCache: Object.fromEntries(names.map((name) => [name, free.next().value])),
  };
}

/** Names of one and two letters that stand for nothing else. */
function* short(taken) {
  const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  for (const first of ["", ...letters]) {
    for (const last of letters) {
      if (!taken.has(first + last)) yield first + last;
    }
  }
}
