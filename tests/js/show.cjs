"use strict";
// Opens a page and waits for a text in it; clicks a button and waits for another text, where both are named.
// Prints what the page shows, and what it complained of.
const { browse, program } = require("./browser.cjs");

program(async ([executablePath, url, text, button, after]) => {
  await browse(executablePath, async (open, complaints) => {
    const page = await open(url);
    await page.getByText(text).first().waitFor();
    if (button) {
      await page.getByRole("button", { name: button }).click();
      await page.getByText(after).first().waitFor();
    }
    const shown = await page.locator("body").innerText();
    process.stdout.write(`${JSON.stringify({ shown, complaints })}\n`);
  });
});
