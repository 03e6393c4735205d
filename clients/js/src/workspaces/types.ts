import type { ManagerOptions, Socket, SocketOptions } from "socket.io-client";
import type { PortwardError } from "../errors.js";
import type { Environment, GetToken, Json } from "../types.js";

/** The acknowledgement of a refused event. */
export interface RefusedAck {
  readonly error: string;
  readonly details?: Json;
  readonly retryMs?: number;
  /** Version and value that are there, after `CONFLICT`. */
  readonly version?: number;
  readonly value?: Json;
}

type Ack<T> = (answer: (T & { readonly error?: undefined }) | RefusedAck) => void;

/** Events that the server sends. */
export interface WorkspaceServerEvents {
  dashboard_update: (event: { action: string; payload: Json; userId: string | null }) => void;
  approval_requested: (event: {
    requestId: string;
    title: string;
    data: Json;
    expiresAt: number;
  }) => void;
  approval_resolved: (event: {
    requestId: string;
    decision: "approve" | "reject";
    userId: string;
    comment?: string;
  }) => void;
  state_changed: (event: { key: string; value: Json; version: number }) => void;
  token_expiring: (event: { expiresAt: number }) => void;
  room_left: (event: { room: string; reason: string }) => void;
  error: (event: { code: string; retryMs?: number }) => void;
  shutdown: (event: { retryMs: number }) => void;
}

/** Events that the client sends, each with its acknowledgement. */
export interface WorkspaceClientEvents {
  join_room: (argument: { room: string }, ack?: Ack<{ joined: string }>) => void;
  leave_room: (argument: { room: string }, ack?: Ack<{ left: string }>) => void;
  dashboard_action: (
    argument: { action: string; payload?: Json },
    ack?: Ack<{ ok: true; result?: Json }>,
  ) => void;
  approval_response: (
    argument: { requestId: string; decision: "approve" | "reject"; comment?: string },
    ack?: Ack<{ ok: true }>,
  ) => void;
  state_sync: (
    argument: { key: string; value: Json; version?: number },
    ack?: Ack<{ ok: true; version: number }>,
  ) => void;
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
