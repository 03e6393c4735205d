"use strict";
// A real browser without a window: opens the pages of its third argument, one after the other, and prints
// what each leaves in window.outcome, one JSON value a line. The first argument is an empty folder for what it
// remembers, the second the browser.
const { chromium } = require("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-proxy-server",
];
const PATIENCE = 30000;

async function visit(browser, url) {
  const page = await browser.newPage();
  await page.goto(url, { timeout: PATIENCE });
  const outcome = await page.waitForFunction(() => window.outcome, null, { timeout: PATIENCE });
  const told = await outcome.jsonValue();
  await page.close();
  return told;
}

async function main([folder, executablePath, urls]) {
  const options = { executablePath, headless: true, args: FLAGS, timeout: PATIENCE };
  const browser = await chromium.launchPersistentContext(folder, options);
  try {
    for (const url of JSON.parse(urls)) {
      process.stdout.write(`${JSON.stringify(await visit(browser, url))}\n`);
    }
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
