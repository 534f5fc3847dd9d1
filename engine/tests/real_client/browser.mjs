// Chromium at the page of `page/`, steered by lines of JSON on standard input; answers go as lines of JSON to standard output.
//
//     node browser.mjs URL
//
// The proxy's authority is none of Chromium's: any certificate is taken.

import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();

const commands = {
  open: async () => {
    await page.goto(url);
    await page.waitForFunction(() => socket.connected && socket.io.engine.transport.name === "websocket");
  },
  login: async ({ username, password }) => {
    await page.fill("[name=username]", username);
    await page.fill("[name=password]", password);
    await page.click("text=Log in");
    await page.waitForSelector(`body[data-user="${username}"]`);
  },
  ask: ({ method, path, body }) => page.evaluate((asked) => ask(asked.method, asked.path, asked.body), { method, path, body }),
  watch: ({ times }) => page.evaluate((count) => watch(count), times),
  devices: () => page.locator("#devices tr").allTextContents(),
  heard: async ({ event, times }) => {
    await page.waitForFunction(
      (wanted) => [...document.querySelectorAll("#heard li")].filter((item) => item.textContent === wanted.event).length >= wanted.times,
      { event, times },
    );
  },
};

process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  let said;
  try {
    said = { answer: (await commands[command](rest)) ?? null };
  } catch (error) {
    said = { failure: String(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
await browser.close();
