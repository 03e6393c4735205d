import type { TokenSource } from "../core/tokens.js";
import type { PortwardError } from "../errors.js";

/**
 * State of a connection.
 *
 * `idle`: not started. `connecting`: an attempt is under way. `ready`: messages can pass.
 * `waiting`: the next attempt comes after a delay. `stopped`: ended for good, `error` says why; no
 * attempt follows until `connect` is called. `closed`: ended by `close`.
 */
export type ConnectionState = "idle" | "connecting" | "ready" | "waiting" | "stopped" | "closed";

/** A function that removes the listener that it was returned for. */
export type Unsubscribe = () => void;

/** Why a token is asked for. */
export interface TokenRequest {
  /**
   * `connect`: a connection is being made. `refresh`: the token in use runs out soon.
   * `rejected`: the server refused the last token.
   */
  readonly reason: "connect" | "refresh" | "rejected";
  /** Aborted when the answer is no longer needed, after ten seconds at the latest. */
  readonly signal: AbortSignal;
}

/**
 * Returns an access token. It may throw {@link UnauthorizedError} to say that there is no login any
 * more: the client then stops. Any other error is temporary, and the function is called again later.
 */
export type GetToken = (request: TokenRequest) => string | Promise<string>;

/** Why a ticket is asked for. */
export interface TicketRequest {
  /** The access token that the ticket stands for; `undefined` without `getToken`. */
  readonly token: string | undefined;
  /** Aborted when the answer is no longer needed. */
  readonly signal: AbortSignal;
}

/** What the client reads of an event of a WebSocket. */
export interface SocketEvent {
  /** The message: text, or bytes. */
  readonly data?: unknown;
  /** The close code. */
  readonly code?: number;
  /** The reason of a close. */
  readonly reason?: string;
  /** HTTP status of a refused handshake, from sockets that show it (`portward/node`). */
  readonly status?: number;
  /** Milliseconds of the `Retry-After` of a refused handshake, from sockets that show it. */
  readonly retryAfterMs?: number;
}

/** The part of a WebSocket that the client uses. */
export interface SocketLike {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes that were sent and are not yet written to the network. */
  readonly bufferedAmount: number;
  /** How binary messages are given. */
  binaryType: string;
  /** Called when the handshake has succeeded. */
  onopen: ((event: never) => void) | null;
  /** Called for each message. */
  onmessage: ((event: never) => void) | null;
  /** Called once, at the end. */
  onclose: ((event: never) => void) | null;
  /** Called before an end that is an error. */
  onerror: ((event: never) => void) | null;
  /** Sends a text or bytes. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Begins to close. */
  close(code?: number, reason?: string): void;
  /** Ends the connection at once, where the socket can. */
  terminate?(): void;
}

/** What a WebSocket of Node takes beside the address; browsers have nothing of it. */
export interface SocketOptions {
  /** Headers of the handshake. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes WebSockets. The `WebSocket` of browsers is one; `portward/node` has one for Node. */
export interface SocketConstructor {
  new (url: string, protocols?: string | string[], options?: SocketOptions): SocketLike;
  /** Whether the third argument is understood, so that headers can be set. */
  readonly takesHeaders?: boolean;
}

/** Events of the page. */
export type PageEvent = "visible" | "pageshow" | "pagehide" | "online" | "offline";

/** Time, randomness, sockets and the page. Given by tests; the default is that of the browser or Node. */
export interface Environment {
  /** Wall clock in milliseconds. It goes on while the machine sleeps. */
  now(): number;
  /** A number from 0 up to 1. */
  random(): number;
  /** Calls a function once after a delay; returns the function that cancels it. */
  delay(ms: number, run: () => void): () => void;
  /** Whether the machine believes to be online. */
  online(): boolean;
  /** Listens to the page; returns the function that stops listening. */
  watch(listener: (event: PageEvent) => void): () => void;
  /** Makes WebSockets; `undefined` where there is none. */
  readonly WebSocket: SocketConstructor | undefined;
}

/** Bounds of the queue of what waits to be sent. */
export interface QueueOptions {
  /** Number of messages at most; 256 unless given. */
  readonly messages?: number;
  /** Characters of all messages together at most; 1048576 unless given. */
  readonly bytes?: number;
}

/** Options of every client. */
export interface ClientOptions {
  /** Gives the access token. Without it the client sends none. */
  readonly getToken?: GetToken;
  /** Path of the endpoint, where it is not the usual one. */
  readonly path?: string;
  /** Makes the WebSockets, in place of the global one. */
  readonly WebSocket?: SocketConstructor;
  /** Headers of the handshake, such as `Cookie` and `Origin`, where the WebSocket sets them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bounds of what waits to be sent. */
  readonly queue?: QueueOptions;
  /** Gives a single-use ticket for the address, where headers cannot be set (alerts, in browsers). */
  readonly fetchTicket?: (request: TicketRequest) => string | Promise<string>;
  /** Milliseconds to wait for the answer to a request; 10000 unless given. */
  readonly timeoutMs?: number;
  /** Time, randomness and page; for tests. */
  readonly environment?: Partial<Environment>;
  /** @internal */
  readonly _tokens?: TokenSource;
}

/** Events of every connection. */
export interface ConnectionEvents {
  /** The state is another one. */
  state: (state: ConnectionState) => void;
  /** The connection ended for good; comes once. */
  stopped: (error: PortwardError) => void;
  /** The machine went online or offline. */
  online: (online: boolean) => void;
}

/** What every client has. */
export interface Connected {
  /** State of the connection. */
  readonly state: ConnectionState;
  /** Whether the machine believes to be online. */
  readonly online: boolean;
  /** Why the connection stopped, or why the last attempt failed. */
  readonly error: PortwardError | undefined;
  /** Connects, and resolves when the connection is ready; rejects when it stops or is closed. */
  connect(): Promise<void>;
  /** Closes for good. Everything that is pending settles. */
  close(): Promise<void>;
  /** Listens; returns the function that stops listening. */
  on<E extends keyof ConnectionEvents>(event: E, listener: ConnectionEvents[E]): Unsubscribe;
}
