"use strict";
// Unmodified Socket.IO clients that obey the standard input and tell on the standard output what befalls
// them, one JSON object a line. Bytes are written {"$bytes": base64}. Ends with its input.
//
//   {"do": "open", "name", "url", "options", "client"?}   a connection of its own; `client` names the package
//   {"do": "enter", "name", "of", "nsp", "options"}   another namespace on the connection of `of`
//   {"do": "emit", "name", "event", "args", "id"?, "timeout"?, "volatile"?}
//   {"do": "answer", "name", "event", "args"}         what this event is acknowledged with; else with its own
//   {"do": "call", "name", "method"}                  connect, disconnect
//   {"do": "auth", "name", "auth"}                    what the next CONNECT brings
//   {"do": "engine", "name"}                          tells the id of its Engine.IO session
//   {"do": "cut", "name"}                             the network goes away
const readline = require("node:readline");
const sockets = new Map();
const answers = new Map();

function written(value) {
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { $bytes: bytes.toString("base64") };
  }
  if (Array.isArray(value)) return value.map(written);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, written(each)]));
}

function read(value) {
  if (Array.isArray(value)) return value.map(read);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$bytes === "string") return Buffer.from(value.$bytes, "base64");
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, read(each)]));
}

function tell(record) {
  process.stdout.write(`${JSON.stringify(record)}\n`);
}

function transport(socket) {
  const engine = socket.io.engine;
  return engine && engine.transport ? engine.transport.name : null;
}

function attend(name, socket) {
  sockets.set(name, socket);
  socket.on("connect", () => {
    tell({ name, kind: "connect", sid: socket.id, transport: transport(socket) });
  });
  socket.io.on("open", () => {
    const { engine } = socket.io;
    engine.on("upgrade", () => tell({ name, kind: "upgrade", transport: engine.transport.name }));
  });
  socket.on("connect_error", (error) => {
    const { message, data } = error;
    tell({ name, kind: "connect_error", message, data, active: socket.active });
  });
  socket.on("disconnect", (reason) => {
    const reconnecting = Boolean(socket.io._reconnecting);
    tell({ name, kind: "disconnect", reason, active: socket.active, reconnecting });
  });
  socket.onAny((event, ...args) => {
    const acknowledge = typeof args.at(-1) === "function" ? args.pop() : null;
    tell({ name, kind: "event", event, args: written(args), wants: acknowledge !== null });
    if (acknowledge) acknowledge(...(answers.get(`${name} ${event}`) ?? args));
  });
}

function emit(socket, { name, event, args, id, timeout, volatile }) {
  const via = volatile ? socket.volatile : socket;
  const given = read(args);
  if (id === undefined) {
    via.emit(event, ...given);
  } else if (timeout === undefined) {
    via.emit(event, ...given, (...answer) => tell({ name, kind: "answer", id, args: written(answer) }));
  } else {
    via.timeout(timeout).emit(event, ...given, (error, ...answer) =>
      tell({ name, kind: "answer", id, failed: error ? error.message : null, args: written(answer) }),
    );
  }
}

const deeds = {
  open: ({ name, url, options, client = "socket.io-client" }) => {
    attend(name, require(client).io(url, { forceNew: true, ...options }));
  },
  enter: ({ name, of, nsp, options }) => attend(name, sockets.get(of).io.socket(nsp, options)),
  emit: (order) => emit(sockets.get(order.name), order),
  answer: ({ name, event, args }) => {
    answers.set(`${name} ${event}`, read(args));
    tell({ name, kind: "noted", event });
  },
  call: ({ name, method }) => sockets.get(name)[method](),
  auth: ({ name, auth }) => {
    sockets.get(name).auth = auth;
  },
  engine: ({ name }) => {
    const { engine } = sockets.get(name).io;
    tell({ name, kind: "engine", id: engine.id, transport: engine.transport.name });
  },
  cut: ({ name }) => sockets.get(name).io.engine.close(),
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    deeds[order.do](order);
  })
  .on("close", () => process.exit(0));
