"use strict";
// Lets a test order an older client about, in Node and in a page alike. Needs client.js and timers.js.
(function (root) {
  root.takeOrders = (WebSocket, report) => {
    const timers = new root.FakeTimers();
    let client;
    const orders = {
      connect({ url, token }) {
        client = new root.OlderRoomsClient(url, token, { WebSocket, timers, report });
        client.connect().then(
          ({ resumed, user }) => report({ kind: "connected", resumed, user }),
          (error) => report({ kind: "failed", message: error.message }),
        );
      },
      join: ({ room }) => client.join(room),
      say: ({ room, content }) => client.say(room, content),
      disconnect: () => client.disconnect(),
      advance: ({ ms }) => timers.advance(ms),
      timers: () => report({ kind: "timers", count: timers.waiting.size }),
    };
    return (order) => orders[order.do](order);
  };
})(globalThis);
