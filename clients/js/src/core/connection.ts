import { PortwardError, StoppedError } from "../errors.js";
import type {
  ClientOptions,
  Connected,
  ConnectionEvents,
  ConnectionState,
  Environment,
  PageEvent,
  SocketEvent,
  SocketLike,
  SocketOptions,
} from "../types.js";
import { after, jitter, milliseconds } from "./backoff.js";
import type { Waiter } from "./channel.js";
import { broken, ending } from "./closes.js";
import { Emitter } from "./emitter.js";
import { environment } from "./environment.js";
import { type CallOptions, type Frame, Requests } from "./requests.js";
import { Silence } from "./silence.js";
import type { TokenSource } from "./tokens.js";

/** A connection that lasted so long begins the back-off anew. */
const STEADY = 5_000;

/** Where to connect to. */
export interface Address {
  readonly _url: string;
  readonly _options?: SocketOptions;
}

/** Does nothing. */
export const ignore = (): void => undefined;

/** One connection that is kept: every protocol is built on it. */
export abstract class Connection<E extends ConnectionEvents>
  extends Emitter<E>
  implements Connected
{
  /** State of the connection. */
  state: ConnectionState = "idle";
  /** Whether the machine believes to be online. */
  online = true;
  /** Why the connection stopped, or why the last attempt failed. */
  error: PortwardError | undefined;

  /** @internal */
  readonly _env: Environment;
  /** @internal */
  readonly _requests: Requests;
  /** Aborted when the present attempt, or the connection that came of it, is over. @internal */
  _life = new AbortController();
  /** @internal */
  _opened = false;
  /** Where tokens come from. @internal */
  _tokens: TokenSource | undefined;
  /** The last handshake was refused for its token. @internal */
  _rejected = false;
  private _socket: SocketLike | undefined;
  private _cancel = ignore;
  private _unwatch: (() => void) | undefined;
  private readonly _waiters = new Set<Waiter>();
  private _attempt = 0;
  private _named: number | undefined;
  private _notBefore = 0;
  /** @internal */
  _readyAt = 0;
  private readonly _silence: Silence;

  constructor(
    url: string,
    path: string,
    /** @internal */
    readonly _options: ClientOptions,
  ) {
    super();
    this._env = environment(_options.environment);
    this._url = url.replace(/^http/, "ws").replace(/\/+$/, "") + (_options.path ?? path);
    this._silence = new Silence(
      () => this._env.now(),
      (ms, run) => {
        this._arm(ms, run);
      },
      () => {
        this._write(JSON.stringify(this._ping()));
      },
      () => {
        this._lost(broken(SILENT, "the server does not answer"));
      },
    );
    this._requests = new Requests(this, this._env, _options.timeoutMs ?? 10_000, _options.queue);
  }

  /** @internal */
  readonly _url: string;

  // What a protocol says.

  /** Prepares an attempt, before there is a socket. @internal */
  abstract _address(): Address | Promise<Address>;
  /** The socket is open. @internal */
  _open(): void {
    // Most servers speak first.
  }
  /** A message has come. @internal */
  abstract _receive(frame: Frame): void;
  /** A binary message has come. @internal */
  _binary: ((data: unknown) => void) | undefined;
  /** A message that the server answers. @internal */
  abstract _ping(): Frame;
  /** The connection is ready. @internal */
  abstract _begin(): void;
  /** The connection is over; another one may follow. @internal */
  abstract _down(error: PortwardError | undefined): void;
  /** The attempt or connection failed; returns the error that stops, if it does. @internal */
  _verdict(_error: PortwardError): PortwardError | undefined {
    return undefined;
  }

  /** Connects, and resolves when the connection is ready; rejects when it stops or is closed. */
  connect(): Promise<void> {
    if (this.state === "ready") return Promise.resolve();
    if (this.state === "closed") return Promise.reject(closed());
    const ready = new Promise<void>((_resolve, _reject) => {
      this._waiters.add({ _resolve, _reject });
    });
    this._start();
    return ready;
  }

  /** Connects, when nothing was done yet. @internal */
  _start(): void {
    if (this.state !== "idle" && this.state !== "stopped") return;
    this.online = this._env.online();
    this._unwatch ??= this._env.watch(this._page);
    this._attempt = 0;
    this._dial();
  }

  /** Closes for good. Everything that is pending settles. */
  close(): Promise<void> {
    const socket = this._socket;
    if (this.state !== "closed") this._finish("closed", closed());
    if (!socket || socket.readyState === 3) return Promise.resolve();
    return new Promise((resolve) => {
      const gone = (): void => {
        cancel();
        socket.onclose = null;
        resolve();
      };
      const cancel = this._env.delay(1000, () => {
        socket.terminate?.();
        gone();
      });
      socket.onclose = gone;
    });
  }

  /** Stops until `connect` is called. @internal */
  _stop(error: PortwardError): void {
    if (this.state === "stopped" || this.state === "closed") return;
    this._finish("stopped", error);
    this._announce("stopped", error);
  }

  /** The client stopped or was closed. @internal */
  abstract _over(error: PortwardError, closed: boolean): void;

  private _finish(state: "stopped" | "closed", error: PortwardError): void {
    const final = state === "closed";
    const waiters = [...this._waiters];
    this._waiters.clear();
    this.state = state;
    this.error = error;
    this._unwatch?.();
    this._unwatch = undefined;
    this._release(final ? undefined : error);
    this._requests._refuse(() => true, error);
    this._over(error, final);
    this._end(final ? undefined : error);
    for (const waiter of waiters) waiter._reject(error);
    // A listener may have connected again.
    if (this.state === state) this._announce("state", state);
  }

  private _become(state: ConnectionState): void {
    if (this.state === state) return;
    this.state = state;
    this._announce("state", state);
  }

  private _announce<K extends keyof ConnectionEvents>(
    event: K,
    ...values: Parameters<ConnectionEvents[K]>
  ): void {
    // Every set of events of a client has these.
    (this as unknown as Emitter<ConnectionEvents>)._emit(event, ...(values as never));
  }

  private _arm(ms: number, run: () => void): void {
    this._cancel();
    this._cancel = this._env.delay(ms, run);
  }

  // Attempts.

  private _dial(): void {
    const life = (this._life = new AbortController());
    this._opened = false;
    this._step(30_000);
    this._become("connecting");
    Promise.resolve()
      .then(() => (life.signal.aborted ? undefined : this._address()))
      .then((address) => {
        if (address && !life.signal.aborted) this._connect(address);
      })
      .catch((error: unknown) => {
        if (!life.signal.aborted) this._failed(error);
      });
  }

  /** What ended an attempt: an error of ours, or one that nobody expected. @internal */
  _failed(error: unknown): void {
    // The text of another error may hold the address, and so a token.
    if (!(error instanceof PortwardError)) this._stop(new StoppedError("failed", "cannot connect"));
    else if (error.temporary) this._lost(error);
    else this._stop(error);
  }

  private _connect({ _url, _options }: Address): void {
    const Socket = this._options.WebSocket ?? this._env.WebSocket;
    if (!Socket) {
      throw new StoppedError(
        "no_websocket",
        'there is no WebSocket here: give the option WebSocket, in Node that of "portward/node"',
      );
    }
    const headers = { ...this._options.headers, ..._options?.headers };
    const socket = (this._socket = new Socket(_url, [], { headers }));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this._opened = true;
      this._step();
      this._guard(() => {
        this._open();
      });
    };
    socket.onmessage = ({ data }: SocketEvent) => {
      this._silence._frame();
      this._guard(() => {
        if (typeof data === "string") this._receive(JSON.parse(data) as Frame);
        else if (this._binary) this._binary(data);
        else throw new TypeError();
      });
    };
    socket.onerror = ignore;
    socket.onclose = (event: SocketEvent) => {
      const again = this._tokens !== undefined && !this._rejected;
      this._rejected ||= event.status === 401;
      this._failed(ending(event, again));
    };
    this._step();
  }

  /** A step towards readiness was made; the next one has its time. @internal */
  _step(ms = this._options.timeoutMs ?? 10_000): void {
    this._arm(ms, () => {
      this._lost(broken("timeout", "the connection was not ready in time"));
    });
  }

  /** What comes may break every rule; then the connection is not used any longer. */
  private _guard(run: () => void): void {
    try {
      run();
    } catch {
      this._lost(broken("protocol", "the server does not speak this protocol"));
    }
  }

  /** The connection is ready. @internal */
  _ready(): void {
    this._named = this.error = undefined;
    this._rejected = false;
    this._readyAt = this._env.now();
    this._silence._frame();
    this._silence._listen();
    this._become("ready");
    // A listener may have closed the client.
    if (this.state !== "ready") return;
    for (const waiter of this._waiters) waiter._resolve();
    this._waiters.clear();
    this._begin();
    this._requests._flush();
  }

  /** The attempt failed, or the connection broke: another attempt follows. @internal */
  _lost(error: PortwardError): void {
    if (this.state !== "connecting" && this.state !== "ready") return;
    const steady = this.state === "ready" && this._env.now() - this._readyAt >= STEADY;
    const stop = this._verdict(error);
    if (stop) {
      this._stop(stop);
      return;
    }
    this._release(error);
    this.error = error;
    if (steady) this._attempt = 0;
    const named = milliseconds(error.retryAfterMs) ?? this._named;
    const random = this._env.random();
    const wait = named === undefined ? jitter(this._attempt, random) : after(named, random);
    this._attempt++;
    this._named = undefined;
    this._notBefore = named === undefined ? 0 : this._env.now() + wait;
    this._again(wait);
    this._become("waiting");
  }

  private _again(wait: number): void {
    this._arm(wait, () => {
      this._dial();
    });
  }

  /** The server named the time of the next attempt. @internal */
  _comeBack(ms: unknown): void {
    this._named = milliseconds(ms) ?? this._named;
  }

  /** Lets go of the socket. What was written and not answered is unknown. */
  private _release(error: PortwardError | undefined): void {
    const socket = this._socket;
    this._cancel();
    this._socket = undefined;
    this._life.abort(error ?? closed());
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // It may report an error later; without a listener some sockets throw it.
      socket.onerror = ignore;
      if (error?.code === SILENT && socket.terminate) socket.terminate();
      else if (socket.readyState < 2) socket.close(1000);
    }
    this._requests._broke();
    this._down(error);
  }

  // Silence, and the page.

  private readonly _page = (event: PageEvent): void => {
    if (event === "online" || event === "offline") {
      this.online = event === "online";
      this._announce("online", this.online);
    }
    const { state } = this;
    if (event === "pagehide") {
      const error = broken("pagehide", "the page was left");
      const stop = this._verdict(error);
      if (stop) {
        this._stop(stop);
        return;
      }
      this._release(error);
      this._become("waiting");
    } else if (event !== "offline" && state === "waiting") {
      // At once, or when the server said; never two clients at the same instant.
      const wait = Math.max(0, this._notBefore - this._env.now());
      this._again(wait + this._env.random() * 100);
    } else if (event !== "offline" && state === "ready") this._silence._wake();
  };

  // Writing.

  /** Asks the server, now or when the connection is ready. @internal */
  _call(encode: (id: string) => object, options?: CallOptions): Promise<Frame> {
    if (this.state === "closed" || this.state === "stopped") {
      return Promise.reject(this.error ?? closed());
    }
    this._start();
    return this._requests._ask(encode, options);
  }

  /** @internal */
  _buffered(urgent: boolean): number | undefined {
    const socket = this._socket;
    const may = socket?.readyState === 1 && (urgent || this.state === "ready");
    return may ? socket.bufferedAmount : undefined;
  }

  /** @internal */
  _write(data: string | Uint8Array<ArrayBuffer>): void {
    if (this._socket?.readyState === 1) this._socket.send(data);
  }
}

const SILENT = "silent";

function closed(): StoppedError {
  return new StoppedError("closed", "the client was closed");
}
