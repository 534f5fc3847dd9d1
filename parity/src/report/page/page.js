"use strict";
// The report is packed into the page. Everything that came from a server is put into the page as text, never as markup.

const OUTCOMES = {
  same: "same", accepted: "as expected", different: "different",
  not_compared: "not compared", could_not_run: "could not run", alone: "no legacy side",
};
/** What is seen once the steps are over. */
const AFTER_THE_STEPS = ["asked", "heard", "left"];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function unpack() {
  const packed = atob(document.getElementById("report").textContent.trim());
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const token = (segment) => segment.replaceAll("~", "~0").replaceAll("/", "~1");
const seconds = (us) => `${us < 0 ? "-" : "+"}${(Math.abs(us) / 1e6).toFixed(3)}`;
const duration = (us) => (us >= 1e6 ? `${(us / 1e6).toFixed(2)} s` : us >= 1e3 ? `${(us / 1e3).toFixed(1)} ms` : `${us} µs`);

/** The part of a text that differs from another one, in bold. */
function marked(own, other) {
  if (typeof own !== "string" || typeof other !== "string") return [text(own)];
  let begin = 0;
  while (begin < own.length && begin < other.length && own[begin] === other[begin]) begin += 1;
  let end = 0;
  while (end < own.length - begin && end < other.length - begin
    && own[own.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  const middle = own.slice(begin, own.length - end);
  return [JSON.stringify(own.slice(0, begin)).slice(0, -1), element("b", {}, JSON.stringify(middle).slice(1, -1)),
    JSON.stringify(own.slice(own.length - end)).slice(1)];
}

/** The value at a JSON pointer; undefined where there is none. */
function at(value, pointer) {
  let found = value;
  for (const segment of pointer.split("/").slice(1)) {
    if (found === null || typeof found !== "object") return undefined;
    found = found[segment.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return found;
}

/** Writes a value with the places marked that differ. */
function write(out, value, path, indent, marks, other) {
  const kind = marks.get(path);
  const into = kind ? element("mark", { class: kind, title: path }) : out;
  if (kind) out.append(into);
  if (value !== null && typeof value === "object" && Object.keys(value).length > 0) {
    const list = Array.isArray(value);
    const deeper = `${indent}  `;
    into.append(list ? "[" : "{");
    Object.entries(value).forEach(([key, member], index) => {
      into.append(`${index > 0 ? "," : ""}\n${deeper}`);
      if (!list) into.append(element("span", { class: "key" }, `${JSON.stringify(key)}: `));
      write(into, member, `${path}/${token(key)}`, deeper, marks, other);
    });
    into.append(`\n${indent}${list ? "]" : "}"}`);
  } else if (kind && typeof value === "string") {
    into.append(...marked(value, at(other, path)));
  } else {
    into.append(JSON.stringify(value));
  }
}

/** Which places of a step differ: a place that a side does not have is marked at the nearest one around it. */
function marksOf(value, differences) {
  const marks = new Map();
  for (const { path, kind } of differences) {
    let place = path;
    while (place !== "" && at(value, place) === undefined) place = place.slice(0, place.lastIndexOf("/"));
    if (marks.get(place) !== "unexpected") marks.set(place, kind);
  }
  return marks;
}

function side(title, seen, differences, other) {
  const value = element("pre", { class: "value" });
  if (seen === undefined) value.append(element("span", { class: "none" }, "nothing"));
  else write(value, seen, "", "", marksOf(seen, differences), other);
  return element("div", { class: "side" }, element("h4", {}, title), value);
}

function differencesOf(verdict) {
  const unexpected = verdict.different.map((difference) => ({ ...difference, kind: "unexpected" }));
  const expected = verdict.accepted.map(([entry, difference]) => ({ ...difference, entry, kind: "expected" }));
  return [...unexpected, ...expected];
}

function stepName(verdict, number) {
  return verdict.steps[number] || (number === 0 ? "any step" : `step ${number}`);
}

/** `step 4`; nothing where it is none, or has no other name. */
function numbered(verdict, number) {
  const name = verdict.steps[number];
  return name === undefined || AFTER_THE_STEPS.includes(name) ? "" : `step ${number}`;
}

/** The differences of each step, in the order of the steps. */
function byStep(differences) {
  const steps = new Map();
  for (const one of differences) steps.set(one.step, [...(steps.get(one.step) || []), one]);
  return [...steps.keys()].sort((one, other) => one - other).map((step) => steps.get(step));
}

function copyButton(line) {
  const button = element("button", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(line);
    button.textContent = "copied";
  } }, "copy");
  return button;
}

function stepView(verdict, step, differences) {
  const here = differences.filter((difference) => difference.step === step.step);
  const kind = here.some((one) => one.kind === "unexpected") ? "different" : here.length > 0 ? "accepted" : "same";
  const reason = verdict.not_compared[step.step];
  const took = [["legacy", step.legacy.took_us], ["engine", step.engine.took_us]]
    .filter(([, us]) => us !== undefined && us !== null)
    .map(([who, us]) => `${who} ${duration(us)}`).join(", ");
  const made = element("details", { class: "step", "data-step": step.step },
    element("summary", {},
      element("span", { class: `badge ${reason ? "not_compared" : kind}` },
        reason ? "not compared" : kind === "same" ? "same" : `${here.length} ${kind === "different" ? "different" : "expected"}`),
      element("span", { class: "where" }, element("span", { class: "key" }, `${numbered(verdict, step.step)} `),
        `${stepName(verdict, step.step)} `, element("span", { class: "key" }, step.label)),
      element("span", { class: "took" }, took)));
  const fill = () => {
    if (made.dataset.filled) return;
    made.dataset.filled = "yes";
    if (step.note) made.append(element("p", {}, step.note));
    if (reason) made.append(element("p", {}, reason));
    if (step.curl) {
      made.append(element("div", { class: "curl" }, element("code", {}, step.curl), copyButton(step.curl)));
    }
    const [legacy, engine] = [seenBy(step, "legacy"), seenBy(step, "engine")];
    if (legacy !== undefined || engine !== undefined) {
      made.append(element("div", { class: "sides" },
        side("legacy", legacy, here, engine), side("engine", engine, here, legacy)));
    }
    made.append(...here.map((difference) => differenceView(verdict, difference)));
  };
  made.addEventListener("toggle", fill);
  if (kind === "different") {
    made.open = true;
    fill();
  }
  return made;
}

function differenceView(verdict, difference) {
  const value = (own, other) => {
    if (own === undefined) return element("span", { class: "none" }, "nothing");
    return element("code", {}, ...(typeof own === "string" ? marked(own, other) : [text(own)]));
  };
  return element("div", { class: `difference ${difference.kind}` },
    element("p", {}, element("code", {}, difference.path || "/"),
      difference.entry ? element("span", {}, " expected: ", element("a", { href: `#entry-${difference.entry}` }, difference.entry)) : null),
    element("p", {}, "legacy ", value(difference.legacy, difference.engine)),
    element("p", {}, "engine ", value(difference.engine, difference.legacy)));
}

/** What a side showed in a step: the legacy's is left out where it is the engine's. */
function seenBy(step, who) {
  if (step[who].at_us === null) return undefined;
  return step[who].seen !== undefined ? step[who].seen : step.engine.seen;
}

/** What was sent and came, in the order of one side. */
function sequenceOf(verdict, story, who, differences) {
  const rows = [];
  let heard = [];
  for (const step of story.steps) {
    const seen = seenBy(step, who);
    if (seen && seen.sockets) {
      heard = Object.entries(seen.sockets).flatMap(([client, socket]) =>
        (socket.events || []).map((event) => ({ client, ...event })));
    }
  }
  const kindOf = (step) => {
    const here = differences.filter((one) => one.step === step);
    return here.some((one) => one.kind === "unexpected") ? "unexpected" : here.length > 0 ? "expected" : "";
  };
  const row = (us, arrow, words, kind) =>
    rows.push(element("li", { class: kind }, element("time", {}, us === null ? "" : seconds(us)), element("span", {}, arrow), element("span", {}, words)));
  for (const step of story.steps) {
    if (AFTER_THE_STEPS.includes(verdict.steps[step.step])) continue;
    const seen = seenBy(step, who);
    row(null, "→", step.label, kindOf(step.step));
    row(step[who].at_us, "←", summary(seen), kindOf(step.step));
    for (const event of heard.filter((one) => one.after_step === step.step)) {
      row(null, "⇐", `${event.client} hears ${event.event}`, "");
    }
  }
  return element("div", { class: "side" }, element("h4", {}, who), element("ol", {}, ...rows));
}

function summary(seen) {
  if (seen === undefined || seen === null) return "nothing";
  if (seen.status !== undefined) return String(seen.status);
  if (seen.rows !== undefined) return `${seen.rows.length} rows`;
  return Object.entries(seen).map(([name, value]) => `${name} ${text(value)}`.slice(0, 120)).join(", ");
}

function scenarioView(report, verdict, story) {
  const differences = differencesOf(verdict);
  const count = (kind) => differences.filter((one) => one.kind === kind).length;
  const words = [[count("unexpected"), "unexpected"], [verdict.unmet.length, "missing"], [count("expected"), "expected"]]
    .filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`).join(", ");
  const made = element("details", { class: "scenario", "data-scenario": verdict.scenario },
    element("summary", {},
      element("span", { class: `badge ${verdict.outcome}` }, OUTCOMES[verdict.outcome]),
      element("span", { class: "name" }, verdict.scenario),
      element("span", { class: "title" }, story ? story.title : ""),
      element("span", { class: "count" }, words)));
  const fill = () => {
    if (made.dataset.filled) return;
    made.dataset.filled = "yes";
    const body = element("div", { class: "body" });
    made.append(body);
    const whole = verdict.not_compared[0];
    if (whole) body.append(element("p", { class: "warning" }, whole));
    const alone = verdict.alone_steps;
    if (alone !== null && alone !== undefined) {
      body.append(element("p", { class: "warning" },
        `No legacy side: ${alone} of its steps were held against what the scenario itself says, and nothing was compared.`));
    }
    for (const unmet of verdict.unmet) {
      body.append(element("div", { class: "difference unexpected" },
        element("p", {}, `${unmet.entry} expects a difference here and there is none: `,
          element("code", {}, `${unmet.name || stepName(verdict, unmet.step)} ${unmet.path}`))));
    }
    const views = {
      Differences: () => differences.length === 0 ? [element("p", { class: "none" }, "Nothing differs.")]
        : byStep(differences).map((here) => element("div", {},
          element("p", {}, `${numbered(verdict, here[0].step)} `, element("b", {}, stepName(verdict, here[0].step)), ` ${here[0].label}`),
          ...here.map((one) => differenceView(verdict, one)))),
      Steps: () => (story ? story.steps.map((step) => stepView(verdict, step, differences)) : [element("p", { class: "none" }, "Nothing was seen.")]),
      Sequence: () => (story ? [element("div", { class: "sequence" },
        sequenceOf(verdict, story, "legacy", differences), sequenceOf(verdict, story, "engine", differences))] : []),
    };
    const place = element("div", {});
    const buttons = Object.keys(views).map((name) => element("button", { type: "button", onclick: () => show(name) }, name));
    const show = (name) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === name)));
      place.replaceChildren(...views[name]());
    };
    body.append(element("div", { class: "views" }, ...buttons), place);
    show(verdict.outcome === "different" ? "Differences" : "Steps");
  };
  made.addEventListener("toggle", () => made.open && fill());
  return { made, fill };
}

function begin(report) {
  const list = document.getElementById("scenarios");
  const stories = new Map((report.stories || []).map((story) => [story.scenario, story]));
  const search = document.getElementById("search");
  const area = document.getElementById("area");
  const outcome = document.getElementById("outcome");
  const count = document.getElementById("count");
  const all = report.judgement.verdicts.map((verdict) => {
    const story = stories.get(verdict.scenario);
    const words = [verdict.scenario, story ? story.title : "", ...Object.values(verdict.steps), ...Object.values(verdict.not_compared),
      ...(story ? story.steps.flatMap((step) => [step.label, step.note]) : []),
      ...differencesOf(verdict).flatMap((one) => [one.path, one.entry || "", text(one.legacy) || "", text(one.engine) || ""])];
    const { made: view, fill } = scenarioView(report, verdict, story);
    return { verdict, view, fill, words: words.join("\n").toLowerCase(), area: report.areas[verdict.scenario] };
  });
  // What needs a look comes first.
  const weight = { could_not_run: 0, different: 1, not_compared: 2, alone: 3, accepted: 4, same: 5 };
  all.sort((one, other) => weight[one.verdict.outcome] - weight[other.verdict.outcome]
    || one.verdict.scenario.localeCompare(other.verdict.scenario));
  list.append(...all.map((one) => one.view));
  for (const name of [...new Set(all.map((one) => one.area))].sort()) area.append(element("option", { value: name }, name));
  for (const name of Object.keys(OUTCOMES)) {
    if (all.some((one) => one.verdict.outcome === name)) outcome.append(element("option", { value: name }, OUTCOMES[name]));
  }
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const one of all) {
      const fits = (!wanted || one.words.includes(wanted)) && (!area.value || one.area === area.value)
        && (!outcome.value || one.verdict.outcome === outcome.value);
      one.view.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    count.textContent = `${shown} of ${all.length} scenarios`;
  };
  [search, area, outcome].forEach((control) => control.addEventListener("input", filter));
  document.querySelectorAll("[data-area]").forEach((link) => link.addEventListener("click", () => {
    area.value = link.dataset.area;
    filter();
  }));
  document.querySelectorAll("[data-open]").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    [search, area, outcome].forEach((control) => { control.value = ""; });
    filter();
    const { view } = all.find((one) => one.verdict.scenario === link.dataset.open);
    view.open = true;
    view.scrollIntoView();
  }));
  // On paper nobody can open anything.
  window.addEventListener("beforeprint", () => {
    for (const { verdict, view, fill } of all) {
      if (!["different", "could_not_run"].includes(verdict.outcome)) continue;
      view.open = true;
      fill();
    }
  });
  filter();
  document.documentElement.dataset.ready = "yes";
}

unpack().then(begin).catch((error) => {
  document.getElementById("scenarios").append(element("p", { class: "warning" },
    `The details cannot be shown: ${error.message}. A current browser shows them; report.json has them all.`));
});
