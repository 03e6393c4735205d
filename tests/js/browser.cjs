"use strict";
// A real browser without a window, in which tests open pages and look at them.
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

/** Starts the browser, hands it over, and ends it. What pages complain of is collected. */
async function browse(executablePath, work) {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  const complaints = [];
  const open = async (url, options = {}) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(45000);
    const page = await context.newPage();
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(url);
    return page;
  };
  try {
    await work(open, complaints);
  } finally {
    await browser.close();
  }
}

/** Runs a program of tests; an exception is its failure. */
function program(main) {
  main(process.argv.slice(2)).then(
    () => process.exit(),
    (error) => {
      process.stderr.write(`${error.stack}\n`);
      process.exit(1);
    },
  );
}

module.exports = { browse, program };
