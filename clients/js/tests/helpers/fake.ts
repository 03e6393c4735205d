import type { Environment, PageEvent, SocketLike } from "../../src/types.js";

/** Lets promises settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that goes on only when it is told to. Counts what is left. */
export class FakeClock {
  now = 1_763_690_400_000;
  private readonly timers = new Set<Timer>();
  private order = 0;

  /** Timers that have not run. */
  get pending(): number {
    return this.timers.size;
  }

  /** Milliseconds to the next timer. */
  get next(): number | undefined {
    const times = [...this.timers].map((timer) => timer.at - this.now);
    return times.length ? Math.min(...times) : undefined;
  }

  delay = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.now + Math.max(0, ms), order: this.order++, run };
    this.timers.add(timer);
    return () => {
      this.timers.delete(timer);
    };
  };

  /** Goes on; timers run at their time, and promises settle after each. */
  async go(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const due = [...this.timers]
        .filter((timer) => timer.at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!due) break;
      this.timers.delete(due);
      this.now = Math.max(this.now, due.at);
      due.run();
      await settle();
    }
    this.now = end;
  }

  /** The machine sleeps: the wall clock goes on, no timer runs. */
  sleep(ms: number): void {
    this.now += ms;
  }
}

type Frame = Record<string, unknown>;

/** A WebSocket that behaves as those of browsers do; the test is the server. */
export class FakeSocket implements SocketLike {
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  /** What the client has sent, read as JSON where it is text. */
  readonly sent: Frame[] = [];
  readonly raw: unknown[] = [];
  closedWith: number | undefined;
  /** Answers each message of the client, when the test sets it. */
  reply: ((frame: Frame, socket: FakeSocket) => void) | undefined;

  constructor(
    readonly url: string,
    readonly protocols: unknown,
    readonly options: unknown,
  ) {}

  send(data: string | Uint8Array): void {
    if (this.readyState === 0) throw new Error("InvalidStateError");
    if (this.readyState > 1) return;
    this.raw.push(data);
    if (typeof data !== "string") return;
    const frame = JSON.parse(data) as Frame;
    this.sent.push(frame);
    this.reply?.(frame, this);
  }

  close(code = 1005): void {
    if (this.readyState > 1) return;
    this.closedWith = code;
    const connecting = this.readyState === 0;
    this.readyState = 2;
    queueMicrotask(() => {
      this.drop(connecting ? 1006 : code);
    });
  }

  /** The handshake succeeded. */
  open(): void {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.onopen?.({} as never);
  }

  /** The server says something. */
  say(frame: unknown): void {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(frame) } as never);
  }

  /** The server says something that is no JSON, or binary. */
  utter(data: unknown): void {
    if (this.readyState === 1) this.onmessage?.({ data } as never);
  }

  /** The connection ends: the server closed, or the network broke. */
  drop(code = 1006, reason = "", more: Frame = {}): void {
    if (this.readyState === 3) return;
    if (this.readyState < 2 && code === 1006) this.onerror?.({} as never);
    this.readyState = 3;
    this.onclose?.({ code, reason, ...more } as never);
  }

  /** The last message of a type. */
  last(type: string): Frame | undefined {
    return this.all(type).at(-1);
  }

  all(type: string): Frame[] {
    return this.sent.filter((frame) => frame["type"] === type);
  }
}

/** A page, a clock and sockets, all under the test's control. */
export class World {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  /** What the next random numbers are; afterwards 0.5. */
  randoms: number[] = [];
  /** How far the wall clock is off. */
  skew = 0;
  isOnline = true;
  takesHeaders = false;
  /** Called for every new socket. */
  onSocket: ((socket: FakeSocket) => void) | undefined;
  private readonly listeners = new Set<(event: PageEvent) => void>();

  get environment(): Environment {
    const { sockets, takesHeaders } = this;
    const made = (socket: FakeSocket): void => {
      sockets.push(socket);
      this.onSocket?.(socket);
    };
    class Socket extends FakeSocket {
      static readonly takesHeaders = takesHeaders;
      constructor(url: string, protocols?: string | string[], options?: unknown) {
        super(url, protocols, options);
        made(this);
      }
    }
    return {
      now: () => this.clock.now + this.skew,
      random: () => this.randoms.shift() ?? 0.5,
      delay: this.clock.delay,
      online: () => this.isOnline,
      watch: (listener) => {
        this.listeners.add(listener);
        return () => {
          this.listeners.delete(listener);
        };
      },
      WebSocket: Socket,
    };
  }

  /** Listeners to the page that are left. */
  get watching(): number {
    return this.listeners.size;
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket");
    return socket;
  }

  page(event: PageEvent): void {
    for (const listener of [...this.listeners]) listener(event);
  }

  go(ms: number): Promise<void> {
    return this.clock.go(ms);
  }
}
