// A small web client: what it asks, and how, is what the real one asks: its channel opens with the page, the password is
// hashed before it is sent, and the list of devices is asked for again and again.

const socket = io({ transports: ["polling", "websocket"] });
socket.onAny((event) => {
  const item = document.createElement("li");
  item.textContent = event;
  document.getElementById("heard").append(item);
});

async function ask(method, path, body) {
  const json = body === undefined || body === null ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { method, credentials: "include", ...json });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
}

async function list() {
  const answer = await ask("GET", "/api/devices");
  const rows = (answer.body.devices ?? []).map((device) => {
    const row = document.createElement("tr");
    row.textContent = device.hostname;
    return row;
  });
  document.getElementById("devices").replaceChildren(...rows);
}

// So often, one after the other, as the real client does it every few seconds.
async function watch(times) {
  for (let time = 0; time < times; time += 1) await list();
}

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target.elements;
  const hash = await crypto.subtle.digest("SHA-512", new TextEncoder().encode(form.password.value));
  const hex = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  await ask("POST", "/api/auth/login", { username: form.username.value, password_sha512: hex });
  await list();
  document.body.dataset.user = (await ask("GET", "/api/auth/me")).body.username;
});
