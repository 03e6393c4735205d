// Reads {"documents": {name: text}, "examples": [{"document", "message", "value"}]} from standard input;
// prints what is wrong as JSON: {"documents": [...], "examples": [...]}.
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const given = JSON.parse(Buffer.concat(chunks).toString());

const wrong = { documents: [], examples: [] };
const read = {};
for (const [name, text] of Object.entries(given.documents)) {
  const { document, diagnostics } = await new Parser().parse(text);
  for (const each of diagnostics) {
    if (each.severity === 0) wrong.documents.push(`${name} ${each.path.join(".")}: ${each.message}`);
  }
  const messages = document?.allMessages().all() ?? [];
  read[name] = Object.fromEntries(messages.map((each) => [each.id(), each.payload()?.json()]));
}

const ajv = new Ajv({ strict: false });
const checks = {};
for (const { document, message, value } of given.examples) {
  const key = `${document} ${message}`;
  const schema = read[document]?.[message];
  if (schema === undefined) {
    wrong.examples.push(`${key}: there is no such message`);
    continue;
  }
  checks[key] ??= ajv.compile(schema);
  if (!checks[key](value)) wrong.examples.push(`${key}: ${ajv.errorsText(checks[key].errors)}`);
}
const counts = Object.fromEntries(Object.entries(read).map(([name, all]) => [name, Object.keys(all).length]));
process.stdout.write(JSON.stringify({ ...wrong, counts }));
