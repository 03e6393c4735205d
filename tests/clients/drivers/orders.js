"use strict";
// Lets a test order a client about, in Node and in a page alike. `makeDriver` returns the function that takes
// one order; what befalls the client is given to `report` as JSON values. The orders and the reports are
// those of driver.py.
(function (root) {
  const EVENTS = {
    rooms: ["message", "gap", "joined", "left", "typing", "presence"],
    alerts: ["alert", "gap", "denied"],
    topic: ["data", "gap", "forbidden", "snapshot"],
    relay: ["event", "binary", "ended"],
  };

  function plain(error) {
    if (error === undefined || error === null) return null;
    const { code, temporary, retryAfterMs, name } = error;
    return { code: code ?? null, temporary: temporary ?? null, retryAfterMs: retryAfterMs ?? null, name };
  }

  function told(value) {
    if (value instanceof Error) return plain(value);
    if (value instanceof Map) return [...value.values()];
    if (ArrayBuffer.isView(value)) return { bytes: value.byteLength };
    return value ?? null;
  }

  // Time that runs `speed` times as fast. `luck` bounds the random numbers from above, `random` fixes them. The
  // order `leap` moves the wall clock alone, as the sleep of a machine does. Where the page is not real, its
  // events are those of the order `page`.
  function makeEnvironment({ speed = 1, luck = 1, random, page = false }, held) {
    const start = Date.now();
    const made = {
      now: () => start + held.leapt + (Date.now() - start) * speed,
      random: () => random ?? Math.random() * luck,
      delay(ms, run) {
        const timer = setTimeout(() => {
          held.timers.delete(timer);
          run();
        }, ms / speed);
        held.timers.add(timer);
        return () => {
          held.timers.delete(timer);
          clearTimeout(timer);
        };
      },
    };
    if (!page) {
      made.online = () => held.online;
      made.watch = (listener) => {
        held.listeners.add(listener);
        return () => held.listeners.delete(listener);
      };
    }
    return made;
  }

  root.makeDriver = ({ portward, WebSocket, report }) => {
    const held = { listeners: new Set(), timers: new Set(), online: true, leapt: 0 };
    const questions = new Map();
    const rooms = new Map();
    const topics = new Map();
    const attended = new Map();
    const aborts = new Map();
    let client;
    let asked = 0;

    function ask(kind, signal, details) {
      asked += 1;
      const id = asked;
      report({ kind, id, ...details });
      return new Promise((resolve, reject) => {
        questions.set(id, { resolve, reject });
        signal?.addEventListener("abort", () => {
          questions.delete(id);
          report({ kind: `${kind} given up`, id });
          reject(signal.reason);
        });
      });
    }

    function follow(source, kinds, rest) {
      for (const kind of kinds) {
        source.on(kind, (value) => report({ kind, ...rest, value: told(value) }));
      }
    }

    function attend(endpoint, one) {
      one.on("state", (state) => report({ kind: "state", endpoint, state, error: plain(one.error) }));
      one.on("stopped", (error) => report({ kind: "stopped", endpoint, ...plain(error) }));
      one.on("online", (online) => report({ kind: "online", endpoint, online }));
      return one;
    }

    const endpoints = {
      rooms: () => client.rooms,
      alerts: () => client.alerts(),
      live: () => client.live(),
      relay: () => client.relay(),
    };
    function endpoint(name) {
      if (!attended.has(name)) {
        const one = attend(name, endpoints[name]());
        if (name === "alerts") follow(one, EVENTS.alerts, {});
        if (name === "relay") follow(one, EVENTS.relay, {});
        attended.set(name, one);
      }
      return attended.get(name);
    }

    // A state is asked for where the order says `state`; the answer is the order `answer`.
    function stateOf(channel) {
      return ({ position, signal }) => ask("state wanted", signal, { channel, position });
    }

    function room(name, state) {
      if (!rooms.has(name)) {
        endpoint("rooms");
        const one = client.room(name, state ? { getState: stateOf(name) } : {});
        follow(one, EVENTS.rooms, { room: name });
        rooms.set(name, one);
      }
      return rooms.get(name);
    }

    function settle(kind, rest, promise) {
      promise.then(
        (value) => report({ kind, ...rest, value: told(value), error: null }),
        (error) => report({ kind, ...rest, value: null, error: plain(error) }),
      );
    }

    const orders = {
      client({ url, token, queue, timeoutMs, cookie, origin, ...time }) {
        if (cookie !== undefined) root.visitorHeaders = { Cookie: cookie, Origin: origin };
        for (const known of [rooms, topics, attended]) known.clear();
        const getToken = ({ reason, signal }) =>
          token === "ask" ? ask("token wanted", signal, { reason }) : token;
        client = new portward.Portward(url, {
          ...(token === undefined ? {} : { getToken }),
          ...(WebSocket === undefined ? {} : { WebSocket }),
          ...(queue === undefined ? {} : { queue }),
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
          environment: makeEnvironment(time, held),
        });
      },
      connect: ({ endpoint: name }) => settle("connected", { endpoint: name }, endpoint(name).connect()),
      join: ({ room: name, state }) => settle("join done", { room: name }, room(name, state).join()),
      leave: ({ room: name }) => settle("leave done", { room: name }, room(name).leave()),
      send({ room: name, content, id }) {
        const abort = new AbortController();
        aborts.set(id, abort);
        settle("sent", { id }, room(name).send(content, { signal: abort.signal }));
      },
      abort: ({ id }) => aborts.get(id).abort(),
      typing: ({ room: name, active }) => room(name).typing(active),
      history({ room: name, limit }) {
        const read = room(name).history({ limit });
        settle("history", { room: name }, read.then(({ messages }) => messages.map((each) => each.content)));
      },
      users: ({ room: name }) => report({ kind: "users", room: name, value: room(name).presence.users }),
      subscribe: ({ calls }) => settle("subscribe done", { calls }, endpoint("alerts").subscribe(calls)),
      unsubscribe: ({ calls }) => settle("unsubscribe done", { calls }, endpoint("alerts").unsubscribe(calls)),
      topic({ topic, state }) {
        const one = endpoint("live").topic(topic, state ? { getState: stateOf(topic) } : {});
        follow(one, EVENTS.topic, { topic });
        topics.set(topic, one);
        settle("topic ready", { topic }, one.ready());
      },
      untopic: ({ topic }) => topics.get(topic).close(),
      converse: ({ model }) => settle("conversation", {}, endpoint("relay").connect(model)),
      event({ event }) {
        const sent = new Promise((resolve) => resolve(endpoint("relay").send(event)));
        settle("event sent", {}, sent);
      },
      answer({ id, value }) {
        questions.get(id)?.resolve(value);
        questions.delete(id);
      },
      fail({ id, unauthorized }) {
        const error = unauthorized ? new portward.UnauthorizedError("logged out") : new Error("not now");
        questions.get(id)?.reject(error);
        questions.delete(id);
      },
      page({ event }) {
        if (event === "online" || event === "offline") held.online = event === "online";
        for (const listener of [...held.listeners]) listener(event);
      },
      // What was ordered before is on its way when the report comes.
      echo: () => setTimeout(() => report({ kind: "echo" }), 20),
      leap({ ms }) {
        held.leapt += ms;
      },
      held: () => report({ kind: "held", listeners: held.listeners.size, timers: held.timers.size }),
      close: () => settle("closed", {}, client.close()),
    };
    return (order) => {
      try {
        orders[order.do](order);
      } catch (error) {
        report({ kind: "order failed", order: order.do, error: plain(error), text: String(error) });
      }
    };
  };
})(globalThis);
