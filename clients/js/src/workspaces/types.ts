import type { ManagerOptions, Socket, SocketOptions } from "socket.io-client";
import type { PortwardError } from "../errors.js";
import type { Environment, GetToken, Json } from "../types.js";

/** The acknowledgement of a refused event. */
export interface RefusedAck {
  /** Code of the refusal. */
  readonly error: string;
  /** What is wrong with the event. */
  readonly details?: Json;
  /** Milliseconds after which to try again. */
  readonly retryMs?: number;
  /** Version that is there, after `CONFLICT`. */
  readonly version?: number;
  /** Value that is there, after `CONFLICT`. */
  readonly value?: Json;
}

type Ack<T> = (answer: (T & { readonly error?: undefined }) | RefusedAck) => void;

/** Events that the server sends. */
export interface WorkspaceServerEvents {
  /** Somebody acted on the dashboard. */
  dashboard_update: (event: { action: string; payload: Json; userId: string | null }) => void;
  /** A decision is asked for. */
  approval_requested: (event: {
    requestId: string;
    title: string;
    data: Json;
    expiresAt: number;
  }) => void;
  /** A decision was made. */
  approval_resolved: (event: {
    requestId: string;
    decision: "approve" | "reject";
    userId: string;
    comment?: string;
  }) => void;
  /** Another window changed the shared state. */
  state_changed: (event: { key: string; value: Json; version: number }) => void;
  /** The token runs out soon; it is replaced by itself. */
  token_expiring: (event: { expiresAt: number }) => void;
  /** The server took this client out of a room. */
  room_left: (event: { room: string; reason: string }) => void;
  /** Something was refused, or the connection ends. */
  error: (event: { code: string; retryMs?: number }) => void;
  /** The process leaves; the socket comes back by itself. */
  shutdown: (event: { retryMs: number }) => void;
}

/** Events that the client sends, each with its acknowledgement. */
export interface WorkspaceClientEvents {
  /** Joins a room of the workspace. */
  join_room: (argument: { room: string }, ack?: Ack<{ joined: string }>) => void;
  /** Leaves a room. */
  leave_room: (argument: { room: string }, ack?: Ack<{ left: string }>) => void;
  /** Acts on the dashboard. */
  dashboard_action: (
    argument: { action: string; payload?: Json },
    ack?: Ack<{ ok: true; result?: Json }>,
  ) => void;
  /** Decides on a request. */
  approval_response: (
    argument: { requestId: string; decision: "approve" | "reject"; comment?: string },
    ack?: Ack<{ ok: true }>,
  ) => void;
  /** Sets a value of the shared state. */
  state_sync: (
    argument: { key: string; value: Json; version?: number },
    ack?: Ack<{ ok: true; version: number }>,
  ) => void;
  /** Puts a newer token in place; done by itself. */
  token_refresh: (argument: { token: string }, ack?: Ack<{ ok: true; expiresAt: number }>) => void;
}

/** The socket of `socket.io-client`, with the events of workspaces. */
export type WorkspaceSocket<
  ServerEvents extends object = WorkspaceServerEvents,
  ClientEvents extends object = WorkspaceClientEvents,
> = Socket<
  ServerEvents & Record<never, (...args: never[]) => void>,
  ClientEvents & Record<never, (...args: never[]) => void>
>;

/** Options of a workspace. */
export interface WorkspaceOptions {
  /** The function `io` of `socket.io-client`. */
  readonly io: (url: string, options: Partial<ManagerOptions & SocketOptions>) => Socket;
  /** Gives the access token. */
  readonly getToken: GetToken;
  /** Further options for `io`; `auth` and `autoConnect` are set here. */
  readonly options?: Omit<Partial<ManagerOptions & SocketOptions>, "auth" | "autoConnect">;
  /** Called when the connection ended for good. `socket.connect()` begins anew. */
  readonly onStopped?: (error: PortwardError) => void;
  /** Called when an event without acknowledgement was refused; the connection goes on. */
  readonly onRefused?: (error: PortwardError) => void;
  /** Time and randomness; for tests. */
  readonly environment?: Partial<Environment>;
}
