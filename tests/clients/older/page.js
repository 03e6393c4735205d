"use strict";
// The older client in a page: the test calls `obey`, and is told by its binding `report`.
globalThis.obey = globalThis.takeOrders(WebSocket, (record) => {
  globalThis.report(JSON.stringify(record));
});
