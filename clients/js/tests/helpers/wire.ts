import type { ClientOptions } from "../../src/types.js";
import { type FakeSocket, settle, World } from "./fake.js";

export type Frame = Record<string, unknown>;

/** A world whose sockets are answered by a function of the test. */
export function wired(answer: (frame: Frame, socket: FakeSocket) => void): {
  world: World;
  options: ClientOptions;
} {
  const world = new World();
  world.onSocket = (socket) => {
    socket.reply = answer;
  };
  return { world, options: { environment: world.environment } };
}

/** The newest socket opens, and is greeted when the endpoint does that. */
export async function opened(world: World, greeting?: Frame): Promise<void> {
  await settle();
  world.socket.open();
  if (greeting) world.socket.say(greeting);
  await settle();
}
