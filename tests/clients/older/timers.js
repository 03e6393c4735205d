"use strict";
// Timers that run when they are told to: `advance` leaps, and runs in order what became due.
(function (root) {
  class FakeTimers {
    constructor() {
      this.time = 1763690400000;
      this.last = 0;
      this.waiting = new Map();
      this.setTimeout = (run, ms) => this.add(run, ms, null);
      this.setInterval = (run, ms) => this.add(run, ms, ms);
      this.clearTimeout = this.clearInterval = (id) => this.waiting.delete(id);
      this.now = () => this.time;
    }

    add(run, ms, every) {
      this.last += 1;
      this.waiting.set(this.last, { run, every, due: this.time + ms });
      return this.last;
    }

    advance(ms) {
      const end = this.time + ms;
      for (;;) {
        const due = [...this.waiting].filter(([, timer]) => timer.due <= end);
        if (due.length === 0) break;
        due.sort(([, first], [, second]) => first.due - second.due);
        const [id, timer] = due[0];
        this.time = timer.due;
        if (timer.every === null) this.waiting.delete(id);
        else timer.due += timer.every;
        timer.run();
      }
      this.time = end;
    }
  }

  root.FakeTimers = FakeTimers;
})(globalThis);
