// The web client as its server sees it: a page, requests with the browser's cookies, and one Socket.IO connection that is
// opened with the page and kept.
//
//     node web_client.mjs URL BUNDLE TRANSPORT...
//
// Commands come as lines of JSON on standard input, answers and what happens go as lines of JSON to standard output.
// A browser adds its cookies to every request anew, upgrades and polls included, whatever the script that sends it knows:
// here the agent of Node's HTTP does so, below both `xmlhttprequest-ssl` and `ws`.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";

import { io } from "socket.io-client";

const [url, bundle, ...transports] = process.argv.slice(2);
const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const cookies = new Map();

function keep(headers) {
  for (const line of headers["set-cookie"] ?? []) {
    const [pair, ...attributes] = line.split(";");
    const [name, value] = pair.split(/=(.*)/s);
    const gone = attributes.some((text) => /^\s*expires=thu, 01 jan 1970/i.test(text));
    gone ? cookies.delete(name) : cookies.set(name, value);
  }
}

function browsing(Agent) {
  return class extends Agent {
    addRequest(request, options) {
      request.setHeader("User-Agent", USER_AGENT);
      // As browsers do for what a script sends: with every write and every socket.
      const isSocket = (request.getHeader("Upgrade") ?? "").toLowerCase() === "websocket";
      if (request.method !== "GET" || isSocket) request.setHeader("Origin", origin);
      request.removeHeader("Cookie");
      if (cookies.size > 0) {
        request.setHeader("Cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
      }
      super.addRequest(request, options);
    }
  };
}

const origin = new URL(url).origin;
const tls = url.startsWith("https:");
const agent = tls
  ? new (browsing(https.Agent))({ ca: readFileSync(bundle), keepAlive: true })
  : new (browsing(http.Agent))({ keepAlive: true });

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

function ask({ method = "GET", path = "/", body }) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    const request = (tls ? https : http).request(url + path, { method, headers, agent }, (answer) => {
      keep(answer.headers);
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(text);
  });
}

let socket;

function open() {
  // As the web client does it at the top of its module, but for the transports, which the story chooses.
  socket = io(url, { transports, agent });
  socket.on("connect", () => say({ happened: "connect" }));
  socket.on("disconnect", (reason) => say({ happened: "disconnect", reason }));
  socket.on("connect_error", (error) => say({ happened: "connect_error", reason: String(error) }));
  socket.onAny((event, data) => say({ happened: "event", event, data }));
}

const commands = {
  ask,
  open: async () => open(),
  cookies: async () => [...cookies.keys()].sort(),
  transport: async () => socket.io.engine.transport.name,
  // What was sent before has been handled when this comes back.
  barrier: () => new Promise((resolve) => socket.emit("request_config", {}, () => resolve(null))),
  close: async () => socket.disconnect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  try {
    say({ answer: (await commands[command](rest)) ?? null });
  } catch (error) {
    say({ failure: String(error) });
  }
}
process.exit(0);
