// Writes docs/reference/client-ts.md from the sources and their comments; with --check it only says
// whether the page is up to date, and exits with 1 when it is not.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "./measure.mjs";

const ENTRIES = [
  ["portward", "src/index.ts"],
  ["portward/workspaces", "src/workspaces/index.ts"],
  ["portward/node", "src/node/index.ts"],
  ["portward/react", "src/react/index.ts"],
  ["portward/server", "src/server/index.ts"],
];

const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config;
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const files = ENTRIES.map(([name, path]) => [name, join(root, path)]).filter(([, path]) =>
  ts.sys.fileExists(path),
);
const program = ts.createProgram(
  files.map(([, path]) => path),
  options,
);
const checker = program.getTypeChecker();
const printer = ts.createPrinter({ removeComments: true });
const flat = (text) => text.replace(/\s+/g, " ").trim();

/** The comment of a declaration, in one paragraph. */
function about(symbol) {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  return flat(text.replace(/\{@link (\w+)\}/g, "`$1`"));
}

function isPublic(symbol) {
  if (/^(_[a-z]|#|__|prototype$)/.test(symbol.name)) return false;
  const declaration = symbol.declarations?.[0];
  if (!declaration || declaration.getSourceFile().fileName.includes("node_modules")) return false;
  if (
    ts.getCombinedModifierFlags(declaration) &
    (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)
  )
    return false;
  return !symbol.getJsDocTags(checker).some(({ name }) => name === "internal");
}

/** What is written in the source, without bodies and modifiers. */
function written(node) {
  const source = node.getSourceFile();
  const print = (each) => flat(printer.printNode(ts.EmitHint.Unspecified, each, source));
  const list = (nodes) => (nodes ?? []).map(print).join(", ");
  const generics = node.typeParameters ? `<${list(node.typeParameters)}>` : "";
  if (ts.isConstructorDeclaration(node)) {
    const parameters = node.parameters.map((each) =>
      print(each)
        .replace(/^(?:private|readonly|public|override|\s)+/, "")
        .replace(/^_/, ""),
    );
    return `constructor(${parameters.join(", ")})`;
  }
  const name = node.name ? node.name.getText(source) : "";
  const optional = node.questionToken ? "?" : "";
  if (node.parameters && !ts.isGetAccessor(node)) {
    const result = node.type ? `: ${print(node.type)}` : "";
    return `${name}${optional}${generics}(${list(node.parameters)})${result}`;
  }
  const type = node.type ? print(node.type) : checker.typeToString(checker.getTypeAtLocation(node));
  return `${name}${optional}: ${type}`;
}

const cell = (text) => text.replace(/\|/g, "\\|");

function members(type, declaration) {
  const rows = checker
    .getPropertiesOfType(type)
    .filter(isPublic)
    .map((symbol) => [written(symbol.declarations[0]), about(symbol)]);
  const constructor = declaration.members?.find(ts.isConstructorDeclaration);
  if (constructor)
    rows.unshift([
      written(constructor),
      about({
        getDocumentationComment: () =>
          ts
            .getJSDocCommentsAndTags(constructor)
            .map((each) => ({ kind: "text", text: ts.getTextOfJSDocComment(each.comment) ?? "" })),
      }),
    ]);
  if (!rows.length) return "";
  const lines = rows.map(([code, text]) => `| \`${cell(code)}\` | ${cell(text)} |`);
  return `\n| member | meaning |\n| --- | --- |\n${lines.join("\n")}\n`;
}

function section(name, symbol) {
  const [declaration] = symbol.declarations;
  const text = about(symbol);
  if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) {
    const kind = ts.isClassDeclaration(declaration) ? "class" : "interface";
    const type = checker.getDeclaredTypeOfSymbol(symbol);
    return `### ${kind} ${name}\n\n${text}\n${members(type, declaration)}`;
  }
  if (ts.isTypeAliasDeclaration(declaration)) {
    const generics = declaration.typeParameters ? "<…>" : "";
    const type = flat(
      printer.printNode(ts.EmitHint.Unspecified, declaration.type, declaration.getSourceFile()),
    );
    return `### type ${name}\n\n\`\`\`ts\ntype ${name}${generics} = ${type};\n\`\`\`\n\n${text}\n`;
  }
  return `### function ${name}\n\n\`\`\`ts\n${written(declaration)}\n\`\`\`\n\n${text}\n`;
}

const seen = new Set();
const parts = [
  "<!-- Made by clients/js/scripts/reference.mjs: change the code, then run make docs. -->\n\n# TypeScript client\n\nEverything that the package `portward` exports, by the module it is imported from.\n",
];
for (const [name, path] of files) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(path));
  const sections = [];
  for (const exported of checker.getExportsOfModule(module)) {
    const symbol =
      exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (!symbol.declarations || seen.has(symbol) || !isPublic(symbol)) continue;
    seen.add(symbol);
    sections.push([exported.name, section(exported.name, symbol)]);
  }
  sections.sort(([a], [b]) => (a < b ? -1 : 1));
  parts.push(`## ${name}\n`, ...sections.map(([, text]) => text));
}
const page = join(root, "..", "..", "docs", "reference", "client-ts.md");
const text = parts.join("\n");
if (!process.argv.includes("--check")) writeFileSync(page, text);
else if (readFileSync(page, "utf8") !== text) {
  console.error("docs/reference/client-ts.md is out of date: run make docs");
  process.exitCode = 1;
}
