// The Socket.IO server on its own, with the JavaScript client.
//
//     node echo.mjs URL

import assert from "node:assert/strict";

import { io } from "socket.io-client";

const url = process.argv[2];
const PATIENCE = 30_000;
const WAYS = [["websocket"], ["polling"], ["polling", "websocket"]];

function once(socket, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), PATIENCE);
    socket.once(event, (...values) => {
      clearTimeout(timer);
      resolve(values);
    });
  });
}

async function walk(transports, namespace) {
  const socket = io(url + namespace, { transports, forceNew: true, reconnection: false, auth: { token: "abc" } });
  assert.deepEqual(await once(socket, "auth"), [{ token: "abc" }]);
  const binary = [Buffer.from([0, 1]), { b: Buffer.alloc(100_000, "x") }];
  for (const values of [[], [1, "2", { 3: [true, null] }], ["\u00e9\u{1f600}"], ["x".repeat(900_000)], binary]) {
    const back = once(socket, "message-back");
    socket.emit("message", ...values);
    assert.deepEqual(await back, values);
    const acknowledged = await new Promise((resolve) => {
      socket.emit("message-with-ack", ...values, (...all) => resolve(all));
    });
    assert.deepEqual(acknowledged, values);
  }
  const numbers = [];
  const all = new Promise((resolve) => {
    socket.on("message-back", (number) => numbers.push(number) === 500 && resolve());
  });
  for (let number = 0; number < 500; number += 1) socket.emit("message", number);
  await all;
  assert.deepEqual(numbers, [...numbers.keys()]);
  assert.equal(socket.io.engine.transport.name, transports.at(-1));
  const left = once(socket, "disconnect");
  socket.disconnect();
  assert.deepEqual((await left)[0], "io client disconnect");
}

for (const transports of WAYS) {
  for (const namespace of ["/", "/custom"]) await walk(transports, namespace);
}

// Several namespaces over one connection, of which one is refused.
const main = io(url, { transports: ["websocket"], reconnection: false });
const custom = main.io.socket("/custom");
const unknown = main.io.socket("/unknown");
const refused = once(unknown, "connect_error");
await Promise.all([once(main, "auth"), once(custom, "auth")]);
assert.equal((await refused)[0].message, "Invalid namespace");
custom.disconnect();
const back = once(main, "message-back");
main.emit("message", "still here");
assert.deepEqual(await back, ["still here"]);
main.disconnect();
