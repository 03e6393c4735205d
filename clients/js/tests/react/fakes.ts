import { RefusedError, type PortwardError } from "../../src/errors.js";
import type {
  Alert,
  AlertEvents,
  ChannelOptions,
  ConnectionEvents,
  ConnectionState,
  GetState,
  JoinedEvent,
  Publication,
  RoomEvents,
  RoomHistory,
  RoomMessage,
  RoomState,
  SendResult,
  TopicEvents,
  Unsubscribe,
} from "../../src/types.js";

type Listener = (...values: never[]) => void;

/** Listeners by event, which can be counted. */
export class Emitter<E extends { [K in keyof E]: Listener }> {
  readonly #listeners = new Map<keyof E, Set<Listener>>();

  get listeners(): number {
    let sum = 0;
    for (const each of this.#listeners.values()) sum += each.size;
    return sum;
  }

  on<K extends keyof E>(event: K, listener: E[K]): Unsubscribe {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known);
    const own: Listener = (...values) => {
      listener(...values);
    };
    known.add(own);
    return () => {
      known.delete(own);
    };
  }

  emit<K extends keyof E>(event: K, ...values: Parameters<E[K]>): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...values);
  }
}

/** A connection that does what the test says. */
export class FakeConnection extends Emitter<ConnectionEvents & AlertEvents> {
  state: ConnectionState = "idle";
  online = true;
  error: PortwardError | undefined;

  connect(): Promise<void> {
    this.move("ready");
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.move("closed");
    return Promise.resolve();
  }

  move(state: ConnectionState, error?: PortwardError): void {
    this.state = state;
    this.error = error;
    this.emit("state", state);
    if (state === "stopped" && error) this.emit("stopped", error);
  }

  go(online: boolean): void {
    this.online = online;
    this.emit("online", online);
  }
}

/** A room whose server is the test. */
export class FakeRoom extends Emitter<RoomEvents> {
  state: RoomState = "out";
  readonly position = undefined;
  readonly sent: string[] = [];
  readonly typed: boolean[] = [];
  joins = 0;
  joinCalls = 0;
  leaveCalls = 0;
  asked: number[] = [];
  /** What `history` answers with. */
  pages: (RoomHistory | Error)[] = [];
  getState: GetState | undefined;
  #offset = 0;
  #presence = new Set<() => void>();
  #settle: { resolve: () => void; reject: (error: Error) => void }[] = [];

  readonly presence = {
    users: [] as readonly string[],
    has: (user: string): boolean => this.presence.users.includes(user),
    subscribe: (listener: () => void): Unsubscribe => {
      const own = (): void => {
        listener();
      };
      this.#presence.add(own);
      return () => {
        this.#presence.delete(own);
      };
    },
  };

  constructor(readonly id: string) {
    super();
  }

  override get listeners(): number {
    return super.listeners + this.#presence.size;
  }

  join(): Promise<void> {
    this.joinCalls += 1;
    this.joins += 1;
    if (this.state === "in") return Promise.resolve();
    this.state = "joining";
    return new Promise((resolve, reject) => {
      this.#settle.push({ resolve, reject });
    });
  }

  leave(): Promise<void> {
    this.leaveCalls += 1;
    this.joins -= 1;
    if (this.joins === 0) {
      this.state = "out";
      this.#reject(new RefusedError("left", "left"));
    }
    return Promise.resolve();
  }

  /** The server lets the client in. */
  letIn(recovered?: boolean): void {
    this.state = "in";
    const event: JoinedEvent = {
      roomId: this.id,
      participants: this.presence.users,
      position: this.now(),
      recovered,
      snapshot: undefined,
    };
    this.emit("joined", event);
    for (const each of this.#settle.splice(0)) each.resolve();
  }

  /** The server refuses. */
  refuse(code: string): void {
    this.state = "out";
    this.#reject(new RefusedError(code, "refused"));
  }

  #reject(error: Error): void {
    for (const each of this.#settle.splice(0)) each.reject(error);
  }

  /** A message comes. */
  say(content: string): RoomMessage {
    const message = this.message(content);
    this.emit("message", message);
    return message;
  }

  message(content: string): RoomMessage {
    this.#offset += 1;
    return {
      id: `m${this.#offset}`,
      type: "chat_message",
      roomId: this.id,
      content,
      userId: "alice",
      timestamp: this.#offset,
      offset: this.#offset,
    };
  }

  now(): { offset: number; epoch: string } {
    return { offset: this.#offset, epoch: "e1" };
  }

  show(users: readonly string[]): void {
    this.presence.users = users;
    for (const listener of [...this.#presence]) listener();
    this.emit("presence", users);
  }

  send(content: string): Promise<SendResult> {
    this.sent.push(content);
    return Promise.resolve({ status: "stored", id: "m", offset: 1, epoch: "e1" });
  }

  typing(active: boolean): void {
    this.typed.push(active);
  }

  history(options: { limit?: number } = {}): Promise<RoomHistory> {
    this.asked.push(options.limit ?? 50);
    const page = this.pages.shift() ?? { messages: [], position: this.now() };
    return page instanceof Error ? Promise.reject(page) : Promise.resolve(page);
  }

  kick(): Promise<void> {
    return Promise.resolve();
  }

  setPermissions(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncIterator](): AsyncIterator<RoomMessage> {
    return { next: () => Promise.resolve({ done: true, value: undefined }) };
  }
}

/** A client of rooms whose server is the test. */
export class FakeRooms extends FakeConnection {
  readonly made = new Map<string, FakeRoom>();

  room(id: string, options?: ChannelOptions): FakeRoom {
    const room = this.made.get(id) ?? new FakeRoom(id);
    this.made.set(id, room);
    if (options?.getState) room.getState = options.getState;
    return room;
  }

  get(id = "lobby"): FakeRoom {
    const room = this.made.get(id);
    if (!room) throw new Error(`no room ${id}`);
    return room;
  }

  /** Listeners of the client and of all rooms. */
  get all(): number {
    let sum = this.listeners;
    for (const room of this.made.values()) sum += room.listeners;
    return sum;
  }
}

/** A client of alerts whose server is the test. */
export class FakeAlerts extends FakeConnection {
  readonly calls: string[] = [];
  failing: Error | undefined;

  subscribe(callIds: readonly string[]): Promise<void> {
    this.calls.push(`+${callIds.join(",")}`);
    return this.failing ? Promise.reject(this.failing) : Promise.resolve();
  }

  unsubscribe(callIds: readonly string[] = []): Promise<void> {
    this.calls.push(`-${callIds.join(",")}`);
    return Promise.resolve();
  }

  tell(callId: string, offset: number): Alert {
    const alert: Alert = {
      id: `alert_${callId}_${offset}`,
      timestamp: 1,
      callId,
      type: "call_quality",
      severity: "high",
      data: {},
      offset,
      epoch: "e1",
    };
    this.emit("alert", alert);
    return alert;
  }
}

/** A topic whose server is the test. */
export class FakeTopic extends Emitter<TopicEvents> {
  snapshot: ReadonlyMap<string, Publication> = new Map();
  subscribed = false;
  opened = 0;
  getState: GetState | undefined;
  #settle: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(readonly name: string) {
    super();
  }

  ready(): Promise<void> {
    if (this.subscribed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#settle.push({ resolve, reject });
    });
  }

  accept(): void {
    this.subscribed = true;
    this.emit("snapshot", this.snapshot);
    for (const each of this.#settle.splice(0)) each.resolve();
  }

  forbid(error: PortwardError): void {
    this.subscribed = false;
    this.emit("forbidden", error);
    for (const each of this.#settle.splice(0)) each.reject(error);
  }

  publish(key: string, data: string): void {
    const publication = { topic: this.name, key, data, ts: 1, offset: this.snapshot.size + 1 };
    this.snapshot = new Map(this.snapshot).set(key, publication);
    this.emit("data", publication);
  }

  close(): void {
    this.opened -= 1;
  }

  [Symbol.asyncIterator](): AsyncIterator<Publication> {
    return { next: () => Promise.resolve({ done: true, value: undefined }) };
  }
}

/** A client of live whose server is the test. */
export class FakeLive extends FakeConnection {
  readonly made = new Map<string, FakeTopic>();

  topic(name: string, options?: ChannelOptions): FakeTopic {
    const topic = this.made.get(name) ?? new FakeTopic(name);
    this.made.set(name, topic);
    topic.opened += 1;
    if (options?.getState) topic.getState = options.getState;
    return topic;
  }
}
