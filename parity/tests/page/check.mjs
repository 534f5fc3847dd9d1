// Opens report.html of a run as a person would: reads the verdict, filters, goes down into a step, looks at both themes.
//
//     node check.mjs REPORT.html FOLDER [PASS|FAIL]
//
// FOLDER gets the screenshots. Exit code 1 where the page does not show what report.json beside it says.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

const [page_file, folder, word = "PASS"] = process.argv.slice(2);
assert(page_file && folder, "usage: node check.mjs REPORT.html FOLDER [PASS|FAIL]");
const report = JSON.parse(await readFile(path.join(path.dirname(page_file), "report.json"), "utf8"));
const verdicts = report.judgement.verdicts;
const with_outcome = (outcome) => verdicts.filter((verdict) => verdict.outcome === outcome);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const complaints = [];
const asked = [];

async function open(colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(pathToFileURL(path.resolve(page_file)).href);
  await page.waitForSelector("html[data-ready=yes]");
  return page;
}

const page = await open("light");
const count = () => page.textContent("#count");
const shown = () => page.locator("details.scenario:visible");

assert.equal(await page.textContent(".verdict .word"), word);
assert.equal(await count(), `${verdicts.length} of ${verdicts.length} scenarios`);
await page.screenshot({ path: path.join(folder, "light.png") });

// By a word, by an outcome, by an area.
const one = (with_outcome("different")[0] || with_outcome("accepted")[0] || verdicts[0]).scenario;
await page.fill("#search", one.toUpperCase());
const fitting = Number((await count()).split(" ")[0]);
assert(fitting >= 1 && fitting <= verdicts.length, `${fitting} scenarios hold ${one}`);
await page.fill("#search", "no scenario holds this text");
assert.equal(await count(), `0 of ${verdicts.length} scenarios`);
await page.fill("#search", "");
for (const outcome of new Set(verdicts.map((verdict) => verdict.outcome))) {
  await page.selectOption("#outcome", outcome);
  assert.equal(await shown().count(), with_outcome(outcome).length, outcome);
}
await page.selectOption("#outcome", "");
await page.locator("[data-area]").first().click();
const area = await page.inputValue("#area");
assert.notEqual(area, "");
assert(await shown().count() < verdicts.length || new Set(await page.locator("[data-area]").allTextContents()).size === 1);
await page.selectOption("#area", "");

// Down into the scenario, its differences, its steps and the sequence of both sides.
const verdict = verdicts.find((candidate) => candidate.scenario === one);
const scenario = page.locator(`details.scenario[data-scenario="${one}"]`);
await scenario.locator("> summary").click();
await scenario.getByRole("button", { name: "Differences" }).click();
const differences = verdict.different.length + verdict.accepted.length;
assert.equal(await scenario.locator(".views + div .difference").count(), differences);
await scenario.getByRole("button", { name: "Steps" }).click();
const all = [...verdict.different, ...verdict.accepted.map(([, difference]) => difference)];
const first = all.find((difference) => /^.(body|headers|rows)/.test(difference.path)) || all[0];
if (first) {
  const step = scenario.locator(`details.step[data-step="${first.step}"]`);
  if (!(await step.evaluate((element) => element.open))) await step.locator("> summary").click();
  // A step is filled once it is open.
  await step.locator(".difference").first().waitFor();
  assert.equal(await step.locator(".difference").count(),
    all.filter((difference) => difference.step === first.step).length);
  if (/^.(body|headers|rows)/.test(first.path)) assert((await step.locator("mark").count()) > 0);
  await step.scrollIntoViewIfNeeded();
  await page.screenshot({ path: path.join(folder, "step.png") });
}
await scenario.getByRole("button", { name: "Sequence" }).click();
assert((await scenario.locator(".sequence li").count()) > 0);
await scenario.scrollIntoViewIfNeeded();
await page.screenshot({ path: path.join(folder, "sequence.png") });

// A step that is the same on both sides shows the same on both sides.
const seen = new Map(report.stories.map((story) => [story.scenario, story.steps.length]));
const calm = verdicts.find((candidate) => candidate.outcome === "same" && seen.get(candidate.scenario) > 0);
if (calm) {
  const quiet = page.locator(`details.scenario[data-scenario="${calm.scenario}"]`);
  await quiet.locator("> summary").click();
  const step = quiet.locator("details.step").first();
  await step.locator("> summary").click();
  await step.locator(".value").first().waitFor();
  const [legacy, engine] = await step.locator(".value").allTextContents();
  assert.equal(legacy, engine);
}

// What is to be looked at is a click away, also from behind a filter.
const looked_at = page.locator("[data-open]").first();
if (await looked_at.count()) {
  const name = await looked_at.getAttribute("data-open");
  const wanted = page.locator(`details.scenario[data-scenario="${name}"]`);
  await page.fill("#search", "no scenario holds this text");
  await looked_at.click();
  assert.equal(await wanted.evaluate((element) => element.open && !element.hidden), true, name);
}

// In a narrow window nothing is wider than the window.
await page.setViewportSize({ width: 380, height: 800 });
await page.fill("#search", "");
for (const view of ["Differences", "Steps", "Sequence"]) {
  await scenario.getByRole("button", { name: view }).click();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 380, view);
}
await page.screenshot({ path: path.join(folder, "narrow.png") });

const dark = await open("dark");
const ground = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
assert.notEqual(ground, "rgb(255, 255, 255)");
await dark.screenshot({ path: path.join(folder, "dark.png") });
await dark.emulateMedia({ media: "print" });
assert.equal(await dark.locator(".filters").isVisible(), false);
// On paper what differs is there without a click.
await dark.pdf();
for (const { scenario: name } of [...with_outcome("different"), ...with_outcome("could_not_run")]) {
  const printed = dark.locator(`details.scenario[data-scenario="${name}"]`);
  assert.equal(await printed.evaluate((element) => element.open && element.querySelector(".body") !== null), true, name);
}

await browser.close();
assert.deepEqual(complaints, []);
assert.deepEqual(asked.filter((url) => !url.startsWith("file:") && !url.startsWith("blob:")), []);
console.log(`report.html: ${word}, ${verdicts.length} scenarios, filters, steps, sequence, both themes`);
