// Prints how many bytes each use of this package adds to an application, and those of its peers.
import { join } from "node:path";
import { HOOKS, measure, measureHooks, measureOwn, OWN, PEERS, root } from "./measure.mjs";

const line = (name, { minified, gzip }, limit) => {
  const bound = limit === undefined ? "" : `   at most ${limit}`;
  console.log(
    `${name.padEnd(34)}${String(minified).padStart(9)}${String(gzip).padStart(9)}${bound}`,
  );
};

console.log(`${"bytes".padEnd(34)}${"minified".padStart(9)}${"gzip".padStart(9)}`);
let over = false;
for (const [name, contents, limit] of OWN) {
  const size = await measureOwn(contents);
  line(`portward: ${name}`, size, limit);
  over ||= size.gzip > limit;
}
const hooks = await measureHooks();
line(`portward: ${HOOKS[0]}`, hooks, HOOKS[2]);
over ||= hooks.gzip > HOOKS[2];
for (const [name, contents] of PEERS) line(name, await measure(contents, join(root, "size")));
process.exitCode = over ? 1 : 0;
