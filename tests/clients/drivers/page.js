"use strict";
// The client in a page: the test calls `obey`, and is told by its binding `report`. What the browser itself tells
// the page is reported too, so that a test knows what the client could know.
(function (root) {
  const report = (record) => root.report(JSON.stringify(record));
  root.obey = root.makeDriver({ portward: root.portward, report });
  root.document.addEventListener("visibilitychange", () => {
    report({ kind: "page", event: root.document.visibilityState });
  });
  for (const event of ["pageshow", "pagehide"]) {
    root.addEventListener(event, ({ persisted }) => report({ kind: "page", event, persisted }));
  }
  for (const event of ["online", "offline", "freeze", "resume"]) {
    root.addEventListener(event, () => report({ kind: "page", event }));
    root.document.addEventListener(event, () => report({ kind: "page", event }));
  }
})(globalThis);
