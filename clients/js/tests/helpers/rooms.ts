import { RoomsClient } from "../../src/index.js";
import type { ClientOptions } from "../../src/types.js";
import { type FakeSocket, settle, World } from "./fake.js";

type Frame = Record<string, unknown>;
type Say = (type: string, data: Frame) => void;

/** A server of rooms, as far as a test needs one. */
export class RoomsServer {
  /** Room id to where it stands. */
  readonly rooms = new Map<string, { offset: number; epoch: string }>();
  /** What `join` answers in place of being joined. */
  readonly failures = new Map<string, Frame>();
  /** Whether what was missed can be brought. */
  recovers = true;
  /** Messages since a place. */
  missed: Frame[] = [];
  /** What `auth` answers: an error code, or success. */
  auth: (data: Frame) => string | Frame | undefined = () => undefined;
  acks = true;
  private sessions = 0;

  attach = (socket: FakeSocket): void => {
    socket.reply = this.reply;
  };

  /** Opens a socket and greets. */
  greet(socket: FakeSocket): void {
    socket.open();
    socket.say({ type: "handshake", data: { connectionId: "c", serverTime: 0 }, timestamp: 0 });
  }

  readonly reply = (frame: Frame, socket: FakeSocket): void => {
    const { type, id } = frame as { type: string; id?: string };
    const data = frame["data"] as Frame;
    const say = (answer: string, content: Frame): void => {
      socket.say({ type: answer, data: content, timestamp: 0, ...(id && { id }) });
    };
    this.answers[type]?.(data, say);
  };

  private readonly answers: Record<string, (data: Frame, say: Say) => void> = {
    auth: (data, say) => {
      this.prove("auth_success", data, say);
    },
    refresh: (data, say) => {
      this.prove("refresh_success", data, say);
    },
    join: (data, say) => {
      this.join(data["rooms"] as Frame[], say);
    },
    leave: ({ roomId }, say) => {
      say("room_left", { roomId });
    },
    heartbeat: (_, say) => {
      say("heartbeat_response", { serverTime: 0 });
    },
    message: ({ roomId }, say) => {
      if (!this.acks) return;
      const room = this.stand(roomId as string);
      room.offset++;
      say("ack", { messageId: `m${room.offset}`, ...room });
    },
    kick: (_, say) => {
      say("done", {});
    },
    set_permissions: (_, say) => {
      say("done", {});
    },
    history: ({ roomId }, say) => {
      say("history", { roomId, messages: [], position: { offset: 7, epoch: "e1" } });
    },
  };

  private prove(type: string, data: Frame, say: Say): void {
    const verdict = this.auth(data);
    if (typeof verdict === "string") say("error", { message: "refused", code: verdict });
    else if (verdict) say("error", { message: "refused", ...verdict });
    else {
      say(type, {
        wsToken: `session-${++this.sessions}`,
        user: { userId: "ann", email: null, roles: [] },
        expiresAt: 0,
        resumed: "wsToken" in data,
      });
    }
  }

  /** Where a room stands. */
  stand(id: string): { offset: number; epoch: string } {
    const room = this.rooms.get(id) ?? { offset: 0, epoch: "e1" };
    this.rooms.set(id, room);
    return room;
  }

  private join(rooms: Frame[], say: Say): void {
    const failed: Frame[] = [];
    const joined: string[] = [];
    for (const { roomId, since } of rooms as { roomId: string; since?: Frame }[]) {
      const failure = this.failures.get(roomId);
      if (failure) {
        say("error", { message: "no", roomId, ...failure });
        failed.push({ roomId, ...failure });
        continue;
      }
      joined.push(roomId);
      say("room_joined", {
        roomId,
        participants: ["ann", "bob"],
        position: { ...this.stand(roomId) },
        ...(since && { recovered: this.recovers, messages: this.recovers ? this.missed : [] }),
      });
    }
    say("joined", { rooms: joined, failed });
  }
}

/** A message of a room, as the server sends it. */
export function message(offset: number, roomId = "lobby", more: Frame = {}): Frame {
  return {
    type: "message",
    data: {
      id: `m${offset}`,
      type: "chat_message",
      roomId,
      content: `text ${offset}`,
      userId: "bob",
      timestamp: 0,
      offset,
      ...more,
    },
    timestamp: 0,
  };
}

/** A client of rooms in a world of its own. */
export function setUp(options: ClientOptions = {}): {
  world: World;
  server: RoomsServer;
  client: RoomsClient;
} {
  const world = new World();
  const server = new RoomsServer();
  world.onSocket = server.attach;
  const client = new RoomsClient("wss://host", {
    getToken: () => "token",
    environment: world.environment,
    ...options,
  });
  return { world, server, client };
}

/** Lets the newest socket open and be greeted. */
export async function up(world: World, server: RoomsServer): Promise<void> {
  await settle();
  server.greet(world.socket);
  await settle();
}
