import { expect, test } from "vitest";
import type { SendResult } from "../../src/types.js";
import { settle } from "../helpers/fake.js";
import { message, setUp, up } from "../helpers/rooms.js";

/** Numbers that look random and are the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const CODES = [1000, 1001, 1006, 1006, 1006, 1011, 3001, 3005, 3503, 4000];

/** One run: things happen in any order; in the end everything has settled and nothing is left. */
async function run(seed: number): Promise<void> {
  const random = generator(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const { world, server, client } = setUp({
    getToken: () => {
      const fate = random();
      if (fate < 0.1) throw new Error("away");
      if (fate < 0.2) return new Promise(() => undefined);
      return "token";
    },
    queue: { messages: 5 },
  });
  world.randoms = Array.from({ length: 1000 }, random);
  let pending = 0;
  let sends = 0;
  const results: SendResult[] = [];
  const track = (promise: Promise<unknown>): void => {
    pending++;
    promise.then(
      () => pending--,
      () => pending--,
    );
  };
  const rooms = ["a", "b"].map((id) =>
    client.room(
      id,
      random() < 0.5 ? { getState: () => (random() < 0.3 ? Promise.reject(new Error()) : 1) } : {},
    ),
  );
  const offsets = new Map<string, number>();
  for (const room of rooms) {
    room.on("message", ({ roomId, offset }) => {
      expect(offset).toBeGreaterThan(offsets.get(roomId) ?? 0);
      offsets.set(roomId, offset);
    });
  }
  const current = (): (typeof world.sockets)[number] | undefined => world.sockets.at(-1);
  const actions: readonly (() => unknown)[] = [
    () => {
      track(client.connect());
    },
    () => {
      track(pick(rooms).join());
    },
    () => {
      track(pick(rooms).leave());
    },
    () => {
      sends++;
      track(
        pick(rooms)
          .send("hi")
          .then((result) => results.push(result)),
      );
    },
    () => {
      const abort = new AbortController();
      track(pick(rooms).join({ signal: abort.signal }));
      track(pick(rooms).history({ signal: abort.signal }));
      if (random() < 0.5) abort.abort();
      else
        client.on("state", () => {
          abort.abort();
        });
    },
    () => up(world, server).catch(() => undefined),
    () => up(world, server).catch(() => undefined),
    () => current()?.open(),
    () => current()?.drop(pick(CODES)),
    () => {
      const room = pick(["a", "b"]);
      current()?.say(message(++server.stand(room).offset, room));
    },
    () => {
      const reason = pick(["kicked", "unavailable", "insufficient_state"]);
      current()?.say({ type: "room_left", data: { roomId: pick(["a", "b"]), reason } });
    },
    () => {
      server.acks = random() < 0.5;
      server.recovers = random() < 0.5;
      if (random() < 0.3) server.failures.set("a", { code: pick(["unavailable", "room_full"]) });
      else server.failures.clear();
    },
    () => current()?.say({ type: "token_expiring", data: { expiresAt: world.clock.now } }),
    () => {
      world.page(pick(["visible", "pageshow", "pagehide", "online", "offline"]));
    },
    () => world.go(random() * 1000),
    () => world.go(random() * 40_000),
    () => settle(),
  ];
  for (let step = 0; step < 60; step++) await pick(actions)();
  await client.close();
  await settle();
  expect([pending, results.length, world.clock.pending, world.watching]).toEqual([0, sends, 0, 0]);
  expect(world.sockets.every((socket) => socket.readyState >= 2 && !socket.onmessage)).toBe(true);
  // Each attempt has one socket, and no two are open at once.
  expect(world.sockets.filter((socket) => socket.readyState < 2)).toEqual([]);
}

/** Whatever happens in whatever order, every promise settles, and no timer and no listener is left. */
test.each(Array.from({ length: 20 }, (_, n) => n))("interleavings, set %d", async (set) => {
  for (let n = 0; n < 15; n++) await run(set * 1000 + n);
});
