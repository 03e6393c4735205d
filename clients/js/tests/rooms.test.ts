import { expect, test } from "vitest";
import { settle } from "./helpers/fake.js";
import { message, setUp, up } from "./helpers/rooms.js";

/** The first join connects, authenticates and joins; the message is stored. */
test("join and send", async () => {
  const { world, server, client } = setUp();
  const room = client.room("lobby");
  expect(client.room("lobby")).toBe(room);
  const joined = room.join();
  await up(world, server);
  await joined;
  expect(client.state).toBe("ready");
  expect(room.state).toBe("in");
  expect(room.presence.users).toEqual(["ann", "bob"]);
  expect(client.user?.userId).toBe("ann");
  expect(await room.send("hi")).toEqual({ status: "stored", id: "m1", offset: 1, epoch: "e1" });
  await client.close();
  expect([world.clock.pending, world.watching, world.socket.readyState]).toEqual([0, 0, 3]);
});

/** After a break the rooms are joined with one message, from their places, by the session token. */
test("recovery", async () => {
  const { world, server, client } = setUp();
  const seen: number[] = [];
  for (const id of ["a", "b", "c"]) void client.room(id).join();
  const room = client.room("a");
  room.on("message", ({ offset }) => seen.push(offset));
  await up(world, server);
  world.socket.say(message(1, "a"));
  world.socket.say(message(1, "a"));
  world.socket.drop();
  expect([client.state, room.state]).toEqual(["waiting", "joining"]);
  server.missed = [2, 3].map((offset) => message(offset, "a")["data"] as Record<string, unknown>);
  server.stand("a").offset = 3;
  await world.go(500);
  await up(world, server);
  const [first] = world.sockets;
  expect(first?.all("join")).toHaveLength(1);
  expect(world.socket.last("auth")?.["data"]).toEqual({ wsToken: "session-1" });
  expect(world.socket.all("join").map((frame) => frame["data"])).toEqual([
    {
      rooms: [
        { roomId: "a", since: { offset: 1, epoch: "e1" } },
        { roomId: "b", since: { offset: 0, epoch: "e1" } },
        { roomId: "c", since: { offset: 0, epoch: "e1" } },
      ],
    },
  ]);
  expect(seen).toEqual([1, 2, 3]);
  await client.close();
  await settle();
  expect(world.clock.pending).toBe(0);
});
