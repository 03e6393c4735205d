"use strict";
// Two people use the page of the tutorial. Says "stop" and "start" where the gateway is to be stopped and
// started, and waits for a line each time. The last argument, where given, is a folder for pictures.
const readline = require("node:readline");
const { browse, program } = require("./browser.cjs");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(word) {
  process.stdout.write(`${word}\n`);
  await lines.next();
}

async function enter(page, name, button) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(`the password of ${name}`);
  await page.getByRole("button", { name: button }).click();
}

async function say(page, text) {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

/** The texts of the messages that are shown, in order. */
function said(page) {
  return page.locator("ol.messages li:not(.gap):not(.end) > p").allInnerTexts();
}

async function pictures(folder, name, ...pages) {
  for (const [index, page] of folder ? pages.entries() : []) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${folder}/${name}-${index}-${colorScheme}.png` });
    }
  }
}

program(async ([executablePath, url, folder]) => {
  await browse(executablePath, async (open, complaints) => {
    const alice = await open(url, { viewport: { width: 390, height: 844 } });
    const bob = await open(url, { viewport: { width: 1280, height: 800 } });
    await enter(alice, "alice", "Log in");
    await alice.getByText("Wrong name or password").waitFor();
    await pictures(folder, "login", alice, bob);
    await enter(alice, "alice", "Create an account");
    await enter(bob, "bob", "Create an account");
    await alice.getByText("With bob").waitFor();
    await say(alice, "Good morning! Has anybody read the release notes?");
    await bob.getByText("Good morning!").waitFor();
    await say(bob, "Yes. The page comes back by itself now, and shows what it missed.");
    await alice.getByText("comes back by itself").waitFor();
    await pictures(folder, "chat", alice, bob);

    await ask("stop");
    await bob.getByText("Connecting…").waitFor();
    await say(bob, "written without a gateway");
    await bob.getByText("Sending…").waitFor();
    await pictures(folder, "away", alice, bob);
    await ask("start");
    await alice.getByText("written without a gateway").waitFor();
    await alice.getByText("Connecting…").waitFor({ state: "detached" });
    await bob.getByText("Sending…").waitFor({ state: "detached" });
    await ask("publish");
    await alice.getByText("The lift works again").waitFor();
    await bob.getByText("The lift works again").waitFor();
    const texts = [await said(alice), await said(bob)];

    await alice.reload();
    await alice.getByText("The lift works again").waitFor();
    texts.push(await said(alice));
    const expired = (complaints) => complaints.filter((each) => !/Failed to load resource.*401|WebSocket connection to/.test(each));
    await alice.getByRole("button", { name: "Log out" }).click();
    await alice.getByRole("button", { name: "Log in" }).waitFor();
    await bob.getByText("You are alone here").waitFor();
    await enter(alice, "alice", "Log in");
    await bob.getByText("With alice").waitFor();
    process.stdout.write(`${JSON.stringify({ texts, complaints: expired(complaints) })}\n`);
  });
});
