// Made by docs/generate.py: change the code, then run it.
/* eslint-disable */

/** One alert as sent to subscribers. `timestamp` is in Unix milliseconds. `offset` and `epoch` are its position in the stream it was read from: the stream of its call, or the combined stream of all calls. */
export interface Alert {
  id: string;
  timestamp: number;
  callId: string;
  type: string;
  severity: Severity;
  data: Record<string, unknown>;
  offset: number;
  epoch: string;
}

/** An alert. `suppressed` alerts of its kind were left out before it; `late`: a cooldown held it back. */
export interface AlertsAlert {
  id: string;
  timestamp: number;
  callId: string;
  type: string;
  severity: Severity;
  data: Record<string, unknown>;
  offset: number;
  epoch: string;
  suppressed?: number;
  late?: boolean;
}

/** The connection closes now, and the client may connect again after this time. */
export interface AlertsClosing {
  /** Name of the ending, as in the table of endings. */
  reason: "going_away" | "internal" | "try_later" | "bad_gateway" | "shutdown" | "expired" | "slow" | "no_pong" | "too_many_requests" | "idle";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** A command is refused, or with `callId` a subscription is withdrawn; the connection stays open. */
export interface AlertsError {
  message: string;
  code: "internal" | "not_authenticated" | "token_required" | "authentication_failed" | "token_revoked" | "permission_denied" | "not_subscribed" | "unknown_type" | "limit_exceeded" | "channel_full" | "invalid_json" | "invalid_message" | "invalid_channel" | "too_long" | "unavailable" | "rate_limited" | "auth_rate_limited" | "subscribe_rate_limited" | "unrecoverable_position";
  callId?: string;
  /** Milliseconds to wait before the next attempt. */
  retryMs?: number;
  details?: JsonDetails;
}

/** The token expires soon: send `refresh`. */
export interface AlertsExpiring {
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** The first message of a connection. */
export interface AlertsHandshake {
  sessionId: string;
  message: "Connected to alert server";
}

/** Alerts, oldest first; after a limit of 0 the positions of the calls. */
export interface AlertsHistory {
  alerts: Alert[];
  positions?: Record<string, StreamPosition>;
}

/** Ask for a sign of life. */
export interface AlertsPing {
  type: "ping";
  id?: string | number;
}

/** The answer to `ping`. */
export interface AlertsPong {
  /** Unix time in milliseconds. */
  timestamp: number;
}

/** Read the newest alerts of one call, or of all that are subscribed to. */
export interface AlertsReadHistory {
  type: "getHistory";
  id?: string | number;
  /** Alerts at most, 50 by default, 100 at most; 0 for the positions alone. */
  limit?: number | string | null;
  callId?: string | null;
}

/** Replace the access token by a newer one of the same user. */
export interface AlertsRefresh {
  type: "refresh";
  id?: string | number;
  token: string;
}

/** A newer token is in force. */
export interface AlertsRefreshed {
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** This gateway process is stopping; the connection closes soon. */
export interface AlertsShutdown {
  message: "Server shutting down";
  reconnectUrl?: string;
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** Subscribe to the alerts of calls; with `since`, what came after these positions follows. */
export interface AlertsSubscribe {
  type: "subscribe";
  id?: string | number;
  /** Call ids: texts of 1 to 64 characters, or `*` for all calls. Others are left out. */
  callIds: string[];
  since?: Record<string, SincePosition> | null;
}

/** All calls that are subscribed to now; `denied` are those asked for that the user may not read. */
export interface AlertsSubscribed {
  callIds: string[];
  denied?: string[];
  recovered?: Record<string, boolean>;
}

/** Unsubscribe from these calls, or without `callIds` from all. */
export interface AlertsUnsubscribe {
  type: "unsubscribe";
  id?: string | number;
  /** Call ids: texts of 1 to 64 characters, or `*` for all calls. Others are left out. */
  callIds?: string[];
}

/** The calls that are still subscribed to. */
export interface AlertsUnsubscribed {
  callIds: string[];
}

/** The possible decisions. */
export type Decision = "approve" | "reject";

/** The rule of strict JSON that a message breaks, and the number of brackets around that place. */
export interface JsonDetails {
  rule: "json" | "depth" | "duplicate_key" | "forbidden_key" | "integer_range" | "number_range" | "constant" | "lone_surrogate" | "nul";
  depth?: number;
}

/** The connection closes now, and the client may connect again after this time. */
export interface LiveClosing {
  type: "closing";
  /** Name of the ending, as in the table of endings. */
  reason: "going_away" | "internal" | "try_later" | "bad_gateway" | "shutdown" | "expired" | "slow" | "no_pong" | "too_many_requests" | "idle";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** A new publication of a topic. */
export interface LiveData {
  type: "data";
  topic: string;
  key?: string;
  /** Any JSON value. */
  data: unknown;
  /** Unix time in milliseconds. */
  ts: number;
  offset: number;
}

/** A command is refused, or a subscription is withdrawn; the connection stays open. */
export interface LiveError {
  type: "error";
  code: "protocol-violation" | "forbidden" | "unavailable" | "limit";
  message: string;
  topic?: string;
  id?: string | number;
  details?: JsonDetails;
  /** Milliseconds to wait before the next attempt. */
  retryMs?: number;
}

/** Publications of a topic, oldest first, and its present position. */
export interface LiveHistory {
  type: "history";
  topic: string;
  id?: string | number;
  publications: LivePublication[];
  position: StreamPosition;
}

/** The latest publication of a key. */
export interface LiveKeyed {
  key: string | null;
  /** Any JSON value. */
  data: unknown;
  /** Unix time in milliseconds. */
  ts: number;
  offset: number;
}

/** Ask for a sign of life, for pages, which cannot send ping frames. */
export interface LivePing {
  type: "ping";
  id?: string | number;
}

/** The answer to `ping`. */
export interface LivePong {
  type: "pong";
  id?: string | number;
}

/** A publication of a topic. */
export interface LivePublication {
  key?: string;
  /** Any JSON value. */
  data: unknown;
  /** Unix time in milliseconds. */
  ts: number;
  offset: number;
}

/** Read publications of a topic; with the limit 0 its position alone. */
export interface LiveReadHistory {
  type: "history";
  id?: string | number;
  topic: string;
  limit?: number;
}

/** This gateway process is stopping; the connection closes soon. */
export interface LiveShutdown {
  type: "shutdown";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** Subscribe to a topic; the answer has the latest publication of every key. */
export interface LiveSubscribe {
  type: "subscribe";
  id?: string | number;
  topic: string;
}

/** The topic is subscribed to; `snapshot` is the latest publication of every key. */
export interface LiveSubscribed {
  type: "subscribed";
  topic: string;
  id?: string | number;
  snapshot: LiveKeyed[];
  position: StreamPosition;
}

/** Unsubscribe from a topic. */
export interface LiveUnsubscribe {
  type: "unsubscribe";
  id?: string | number;
  topic: string;
}

/** The topic is not subscribed to any more. */
export interface LiveUnsubscribed {
  type: "unsubscribed";
  topic?: string;
  id?: string | number;
}

/** The connection is authenticated. */
export interface RelayAuthSuccess {
  type: "auth_success";
  userId: string;
  id?: string | number;
}

/** Prove who the user is; during a conversation, replace the token by a newer one. */
export interface RelayAuthenticate {
  type: "authenticate";
  id?: string | number;
  token: string;
}

/** The connection closes now, and the client may connect again after this time. */
export interface RelayClosing {
  type: "closing";
  /** Name of the ending, as in the table of endings. */
  reason: "going_away" | "internal" | "try_later" | "bad_gateway" | "shutdown" | "expired" | "slow" | "no_pong" | "too_many_requests" | "idle";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** Connect to the upstream; what follows goes there. */
export interface RelayConnect {
  type: "connect_realtime";
  id?: string | number;
  model?: string;
}

/** The upstream is connected: from now on messages go there and come from there. */
export interface RelayConnected {
  type: "realtime_connected";
  model?: string;
  id?: string | number;
}

/** A command or an event is refused; or, for some endings, why the connection closes now. */
export interface RelayError {
  type: "error";
  code: "invalid_token" | "not_authenticated" | "rate_limited" | "not_connected" | "event_refused" | "model_not_allowed" | "limit_exceeded" | "too_long" | "unavailable" | "internal" | "auth_timeout" | "upstream_unavailable" | "quota_exceeded" | "token_expired" | "revoked";
  message: string;
  /** Milliseconds to wait before the next attempt. */
  retryMs?: number;
  /** Milliseconds to wait before the next attempt. */
  retryAfterMs?: number;
  event?: string;
  details?: JsonDetails;
  id?: string | number;
}

/** Ask the gateway for a sign of life; is not passed to the upstream. */
export interface RelayPing {
  type: "ping";
  id?: string | number;
}

/** The answer to `ping`. */
export interface RelayPong {
  type: "pong";
  id?: string | number;
}

/** Replace the token by a newer one of the same user. */
export interface RelayRefresh {
  type: "refresh";
  id?: string | number;
  token: string;
}

/** A newer token is in force. */
export interface RelayRefreshSuccess {
  type: "refresh_success";
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
  id?: string | number;
}

/** This gateway process is stopping; the connection closes soon. */
export interface RelayShutdown {
  type: "shutdown";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** The token expires soon: send `refresh`. */
export interface RelayTokenExpiring {
  type: "token_expiring";
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** Role names that may read, write and administer. A higher right includes the lower ones. */
export interface RoomPermissions {
  read?: string[];
  write?: string[];
  admin?: string[];
}

/** A message is stored, at this position. */
export interface RoomsAck {
  messageId: string;
  offset: number;
  epoch: string;
}

/** Prove who the user is: with an access token, or with the session token of an earlier connection. */
export interface RoomsAuth {
  token?: string;
  wsToken?: string;
}

/** The connection is authenticated. */
export interface RoomsAuthSuccess {
  /** Session token for the next connection; a secret. */
  wsToken: string;
  user: RoomsUser;
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
  resumed: boolean;
}

/** The connection closes now, and the client may connect again after this time. */
export interface RoomsClosing {
  /** Name of the ending, as in the table of endings. */
  reason: "going_away" | "internal" | "try_later" | "bad_gateway" | "shutdown" | "expired" | "slow" | "no_pong" | "too_many_requests" | "idle";
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** A command that has no other answer is carried out. */
export interface RoomsDone {}

/** A command is refused; the connection stays open. */
export interface RoomsError {
  message: string;
  code: "internal" | "not_authenticated" | "token_required" | "authentication_failed" | "token_revoked" | "permission_denied" | "room_not_found" | "unknown_type" | "limit_exceeded" | "room_full" | "invalid_format" | "invalid_structure" | "invalid_room_id" | "message_too_long" | "unavailable" | "rate_limited" | "auth_rate_limited" | "join_rate_limited" | "unrecoverable_position";
  /** Milliseconds to wait before the next attempt. */
  retryAfterMs?: number;
  details?: JsonDetails;
  roomId?: string;
}

/** A room that was not joined. */
export interface RoomsFailure {
  roomId: string;
  code: string;
  /** Milliseconds to wait before the next attempt. */
  retryAfterMs?: number;
}

/** The first message of a connection. */
export interface RoomsHandshake {
  connectionId: string;
  /** Unix time in milliseconds. */
  serverTime: number;
}

/** Ask for a sign of life. */
export interface RoomsHeartbeat {}

/** The answer to `heartbeat`. */
export interface RoomsHeartbeatResponse {
  /** Unix time in milliseconds. */
  serverTime: number;
}

/** Messages of a room, oldest first, and its present position. */
export interface RoomsHistory {
  roomId: string;
  messages: RoomsMessage[];
  position: StreamPosition;
}

/** Join one room (`roomId`, `since`) or several (`rooms`). */
export interface RoomsJoin {
  roomId?: string;
  since?: SincePosition | null;
  rooms?: RoomsJoinOne[];
}

/** One of several rooms to join; with `since`, the messages after it follow. */
export interface RoomsJoinOne {
  roomId: string;
  since?: SincePosition | null;
}

/** The end of a join of several rooms: those that were joined, and the others. */
export interface RoomsJoined {
  rooms: string[];
  failed: RoomsFailure[];
}

/** Remove a user from a room; for its administrators. */
export interface RoomsKick {
  roomId: string;
  userId: string;
}

/** Leave a room. */
export interface RoomsLeave {
  roomId: string;
}

/** A message of a room. One of the backend has no user, and may have any content. */
export interface RoomsMessage {
  id: string;
  type: string;
  roomId: string;
  /** Any JSON value. */
  content: unknown;
  userId: string | null;
  email?: string;
  /** Unix time in milliseconds. */
  timestamp: number;
  offset: number;
  signature?: string;
  suppressed?: number;
}

/** A user entered or left a room. */
export interface RoomsMoved {
  userId: string;
  email?: string;
  roomId: string;
}

/** A user in a room. */
export interface RoomsParticipant {
  userId: string;
  connections: number;
}

/** The users in a room. */
export interface RoomsPresence {
  roomId: string;
  participants: RoomsParticipant[];
}

/** Read messages of a room; with the limit 0 its position alone. */
export interface RoomsReadHistory {
  roomId: string;
  limit?: number | null;
  before?: number | null;
  since?: number | SincePosition | null;
}

/** Ask for the users in a room. */
export interface RoomsReadPresence {
  roomId: string;
}

/** Replace the access token by a newer one of the same user. */
export interface RoomsRefresh {
  token?: string;
}

/** A newer token is in force. */
export interface RoomsRefreshSuccess {
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
  /** Session token for the next connection; a secret. */
  wsToken: string;
}

/** The room is joined. With `since` in the request: whether nothing is missing, and what was missed. */
export interface RoomsRoomJoined {
  roomId: string;
  participants: string[];
  position: StreamPosition;
  recovered?: boolean;
  messages?: RoomsMessage[];
  snapshot?: RoomsMessage[];
}

/** The room is left; with a `reason`, not by the client's own command. */
export interface RoomsRoomLeft {
  roomId: string;
  /** `permission_denied`, `kicked` or `unsubscribed`; after `unavailable` and `insufficient_state` join again. */
  reason?: string;
}

/** Send a message to everybody in a room. */
export interface RoomsSend {
  roomId: string;
  /** 1 to 4000 characters after trimming. */
  content: string;
}

/** Replace the permissions of a room; for its administrators. */
export interface RoomsSetPermissions {
  roomId: string;
  permissions: RoomPermissions;
}

/** Tell the others in a room whether the user types. */
export interface RoomsSetTyping {
  roomId: string;
  active: boolean;
}

/** This gateway process is stopping; the connection closes soon. */
export interface RoomsShutdown {
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** The token expires soon: send `refresh`. */
export interface RoomsTokenExpiring {
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** A user began or stopped typing. */
export interface RoomsTyping {
  roomId: string;
  userId: string;
  active: boolean;
}

/** The user of this connection. */
export interface RoomsUser {
  userId: string;
  email: string | null;
  roles: string[];
}

/** The severity of an alert. */
export type Severity = "critical" | "high" | "low" | "medium";

/** The last position that a client has handled. */
export interface SincePosition {
  offset: number;
  epoch: string;
}

/** A place in a channel's stream; offsets compare only within one epoch. */
export interface StreamPosition {
  offset: number;
  epoch: string;
}

/** The action is done; `result` is what the application returned. */
export interface WorkspacesActed {
  ok: true;
  /** Any JSON value. */
  result?: unknown;
}

/** Do something in a dashboard. */
export interface WorkspacesAction {
  action: string;
  /** Any JSON value. */
  payload?: unknown;
}

/** Another window of the user has set a shared value. */
export interface WorkspacesChanged {
  key: string;
  /** Any JSON value. */
  value: unknown;
  version: number;
}

/** Another value is set, with this version. */
export interface WorkspacesConflict {
  error: "CONFLICT";
  version: number;
  /** Any JSON value. */
  value: unknown;
}

/** It is done. */
export interface WorkspacesDone {
  ok: true;
}

/** Why the connection ends, or why an event without an acknowledgement is refused. */
export interface WorkspacesError {
  code: "CONFLICT" | "ACCESS_DENIED" | "INTERNAL_ERROR" | "AUTH_REQUIRED" | "INVALID_TOKEN" | "VALIDATION_ERROR" | "PERMISSION_DENIED" | "LIMIT_EXCEEDED" | "UNAVAILABLE" | "RATE_LIMITED" | "ALREADY_DECIDED" | "BAD_GATEWAY" | "EXPIRED" | "FLOODING" | "GOING_AWAY" | "IDLE" | "INTERNAL" | "INVALID_UTF8" | "NO_PONG" | "PERMISSION_LOST" | "PROTOCOL_ERROR" | "QUOTA" | "REVOKED" | "SLOW" | "TOO_BIG" | "TOO_MANY_CONNECTIONS" | "TOO_MANY_FAULTS" | "TRY_LATER" | "WRONG_DATA";
  /** Milliseconds to wait before the next attempt. */
  retryMs?: number;
}

/** The token expires soon: emit `token_refresh`. */
export interface WorkspacesExpiring {
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** The room is joined. */
export interface WorkspacesJoined {
  /** `workspace:{id}:{kind}` */
  joined: string;
}

/** The room is left. */
export interface WorkspacesLeft {
  /** `workspace:{id}:{kind}` */
  left: string;
}

/** A newer token is in force. */
export interface WorkspacesRefreshed {
  ok: true;
  /** When the token expires, in Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** The event is refused. */
export interface WorkspacesRefused {
  error: string;
  details?: unknown;
  /** Milliseconds to wait before the next attempt. */
  retryMs?: number;
}

/** A room is left, not by the client's own command. */
export interface WorkspacesRemoved {
  /** `workspace:{id}:{kind}` */
  room: string;
  reason: string;
}

/** A request for approval waits for a decision. */
export interface WorkspacesRequested {
  requestId: string;
  title: string;
  /** Any JSON value. */
  data: unknown;
  /** Unix time in milliseconds. */
  expiresAt: number;
}

/** A request for approval is decided. */
export interface WorkspacesResolved {
  requestId: string;
  decision: Decision;
  userId: string;
  comment?: string;
}

/** Decide on a request for approval. */
export interface WorkspacesResponse {
  requestId: string;
  decision: Decision;
  comment?: string | null;
}

/** One room of a workspace. */
export interface WorkspacesRoom {
  /** `workspace:{id}:{kind}` */
  room: string;
}

/** The value is set, and has this version. */
export interface WorkspacesShared {
  ok: true;
  version: number;
}

/** This gateway process is stopping; the connection closes soon. */
export interface WorkspacesShutdown {
  /** Milliseconds to wait before the next attempt. */
  retryMs: number;
}

/** Set a value that all windows of the user share; with `version` only if that is the present one. */
export interface WorkspacesState {
  key: string;
  /** Any JSON value. */
  value: unknown;
  version?: number | null;
}

/** Replace the token by a newer one of the same user. */
export interface WorkspacesToken {
  token: string;
}

/** A user did something in a dashboard. */
export interface WorkspacesUpdate {
  action: string;
  /** Any JSON value. */
  payload: unknown;
  userId: string;
}

/** Codes of refusals and endings in rooms. */
export type RoomsErrorCode = "internal" | "not_authenticated" | "token_required" | "authentication_failed" | "token_revoked" | "permission_denied" | "room_not_found" | "unknown_type" | "limit_exceeded" | "room_full" | "invalid_format" | "invalid_structure" | "invalid_room_id" | "message_too_long" | "unavailable" | "rate_limited" | "auth_rate_limited" | "join_rate_limited" | "unrecoverable_position";

/** Codes of rooms after which the same may succeed later. */
export const roomsTemporary: readonly string[] = ["internal", "unavailable", "rate_limited", "auth_rate_limited", "join_rate_limited"];

/** What stands in the messages, by their types. */
export interface RoomsClientMessages {
  /** Prove who the user is: with an access token, or with the session token of an earlier connection. */
  auth: RoomsAuth;
  /** Replace the access token by a newer one of the same user. */
  refresh: RoomsRefresh;
  /** Join one room (`roomId`, `since`) or several (`rooms`). */
  join: RoomsJoin;
  /** Leave a room. */
  leave: RoomsLeave;
  /** Send a message to everybody in a room. */
  message: RoomsSend;
  /** Read messages of a room; with the limit 0 its position alone. */
  history: RoomsReadHistory;
  /** Ask for the users in a room. */
  presence: RoomsReadPresence;
  /** Ask for a sign of life. */
  heartbeat: RoomsHeartbeat;
  /** Tell the others in a room whether the user types. */
  typing: RoomsSetTyping;
  /** Remove a user from a room; for its administrators. */
  kick: RoomsKick;
  /** Replace the permissions of a room; for its administrators. */
  set_permissions: RoomsSetPermissions;
}

export type RoomsClientMessage<
  T extends keyof RoomsClientMessages = keyof RoomsClientMessages,
> = { [T in keyof RoomsClientMessages]: { type: T; data: RoomsClientMessages[T]; timestamp: number; id?: string } }[T];

/** What stands in the messages, by their types. */
export interface RoomsServerMessages {
  /** The first message of a connection. */
  handshake: RoomsHandshake;
  /** The connection is authenticated. */
  auth_success: RoomsAuthSuccess;
  /** A newer token is in force. */
  refresh_success: RoomsRefreshSuccess;
  /** The answer to `heartbeat`. */
  heartbeat_response: RoomsHeartbeatResponse;
  /** The room is joined. With `since` in the request: whether nothing is missing, and what was missed. */
  room_joined: RoomsRoomJoined;
  /** The end of a join of several rooms: those that were joined, and the others. */
  joined: RoomsJoined;
  /** The room is left; with a `reason`, not by the client's own command. */
  room_left: RoomsRoomLeft;
  /** A message of a room. One of the backend has no user, and may have any content. */
  message: RoomsMessage;
  /** A message is stored, at this position. */
  ack: RoomsAck;
  /** Messages of a room, oldest first, and its present position. */
  history: RoomsHistory;
  /** The users in a room. */
  presence: RoomsPresence;
  /** A user's first connection entered a room. */
  user_joined: RoomsMoved;
  /** A user left a room, or was removed. */
  user_left: RoomsMoved;
  /** A user's last connection in a room closed. */
  user_disconnected: RoomsMoved;
  /** A user began or stopped typing. */
  typing: RoomsTyping;
  /** The token expires soon: send `refresh`. */
  token_expiring: RoomsTokenExpiring;
  /** This gateway process is stopping; the connection closes soon. */
  shutdown: RoomsShutdown;
  /** The connection closes now, and the client may connect again after this time. */
  closing: RoomsClosing;
  /** A command that has no other answer is carried out. */
  done: RoomsDone;
  /** A command is refused; the connection stays open. */
  error: RoomsError;
}

export type RoomsServerMessage<
  T extends keyof RoomsServerMessages = keyof RoomsServerMessages,
> = { [T in keyof RoomsServerMessages]: { type: T; data: RoomsServerMessages[T]; timestamp: number; id?: string } }[T];

/** Codes of refusals and endings in alerts. */
export type AlertsErrorCode = "internal" | "not_authenticated" | "token_required" | "authentication_failed" | "token_revoked" | "permission_denied" | "not_subscribed" | "unknown_type" | "limit_exceeded" | "channel_full" | "invalid_json" | "invalid_message" | "invalid_channel" | "too_long" | "unavailable" | "rate_limited" | "auth_rate_limited" | "subscribe_rate_limited" | "unrecoverable_position";

/** Codes of alerts after which the same may succeed later. */
export const alertsTemporary: readonly string[] = ["internal", "unavailable", "rate_limited", "auth_rate_limited", "subscribe_rate_limited"];

/** What stands in the messages, by their types. */
export interface AlertsClientMessages {
  /** Subscribe to the alerts of calls; with `since`, what came after these positions follows. */
  subscribe: AlertsSubscribe;
  /** Unsubscribe from these calls, or without `callIds` from all. */
  unsubscribe: AlertsUnsubscribe;
  /** Read the newest alerts of one call, or of all that are subscribed to. */
  getHistory: AlertsReadHistory;
  /** Ask for a sign of life. */
  ping: AlertsPing;
  /** Replace the access token by a newer one of the same user. */
  refresh: AlertsRefresh;
}

export type AlertsClientMessage<
  T extends keyof AlertsClientMessages = keyof AlertsClientMessages,
> = { [T in keyof AlertsClientMessages]: AlertsClientMessages[T] }[T];

/** What stands in the messages, by their types. */
export interface AlertsServerMessages {
  /** The first message of a connection. */
  handshake: AlertsHandshake;
  /** All calls that are subscribed to now; `denied` are those asked for that the user may not read. */
  subscribed: AlertsSubscribed;
  /** The calls that are still subscribed to. */
  unsubscribed: AlertsUnsubscribed;
  /** An alert. `suppressed` alerts of its kind were left out before it; `late`: a cooldown held it back. */
  alert: AlertsAlert;
  /** Alerts, oldest first; after a limit of 0 the positions of the calls. */
  history: AlertsHistory;
  /** The answer to `ping`. */
  pong: AlertsPong;
  /** A newer token is in force. */
  refreshed: AlertsRefreshed;
  /** The token expires soon: send `refresh`. */
  expiring: AlertsExpiring;
  /** This gateway process is stopping; the connection closes soon. */
  shutdown: AlertsShutdown;
  /** The connection closes now, and the client may connect again after this time. */
  closing: AlertsClosing;
  /** A command is refused, or with `callId` a subscription is withdrawn; the connection stays open. */
  error: AlertsError;
}

export type AlertsServerMessage<
  T extends keyof AlertsServerMessages = keyof AlertsServerMessages,
> = { [T in keyof AlertsServerMessages]: { type: T; payload: AlertsServerMessages[T]; id?: string | number } }[T];

/** Codes of refusals and endings in live. */
export type LiveErrorCode = "protocol-violation" | "forbidden" | "unavailable" | "limit";

/** Codes of live after which the same may succeed later. */
export const liveTemporary: readonly string[] = ["unavailable"];

/** What stands in the messages, by their types. A handler of the application may send any JSON value. */
export interface LiveClientMessages {
  /** Subscribe to a topic; the answer has the latest publication of every key. */
  subscribe: LiveSubscribe;
  /** Unsubscribe from a topic. */
  unsubscribe: LiveUnsubscribe;
  /** Read publications of a topic; with the limit 0 its position alone. */
  history: LiveReadHistory;
  /** Ask for a sign of life, for pages, which cannot send ping frames. */
  ping: LivePing;
}

export type LiveClientMessage<
  T extends keyof LiveClientMessages = keyof LiveClientMessages,
> = { [T in keyof LiveClientMessages]: LiveClientMessages[T] }[T];

/** What stands in the messages, by their types. A handler of the application may send any JSON value. */
export interface LiveServerMessages {
  /** The topic is subscribed to; `snapshot` is the latest publication of every key. */
  subscribed: LiveSubscribed;
  /** The topic is not subscribed to any more. */
  unsubscribed: LiveUnsubscribed;
  /** A new publication of a topic. */
  data: LiveData;
  /** Publications of a topic, oldest first, and its present position. */
  history: LiveHistory;
  /** The answer to `ping`. */
  pong: LivePong;
  /** This gateway process is stopping; the connection closes soon. */
  shutdown: LiveShutdown;
  /** The connection closes now, and the client may connect again after this time. */
  closing: LiveClosing;
  /** A command is refused, or a subscription is withdrawn; the connection stays open. */
  error: LiveError;
}

export type LiveServerMessage<
  T extends keyof LiveServerMessages = keyof LiveServerMessages,
> = { [T in keyof LiveServerMessages]: LiveServerMessages[T] }[T];

/** Codes of refusals and endings in relay. */
export type RelayErrorCode = "invalid_token" | "not_authenticated" | "rate_limited" | "not_connected" | "event_refused" | "model_not_allowed" | "limit_exceeded" | "too_long" | "unavailable" | "internal" | "auth_timeout" | "upstream_unavailable" | "quota_exceeded" | "token_expired" | "revoked";

/** Codes of relay after which the same may succeed later. */
export const relayTemporary: readonly string[] = ["rate_limited", "unavailable", "internal", "upstream_unavailable", "token_expired"];

/** What stands in the messages, by their types. After `realtime_connected`, events of the upstream pass both ways as they are. */
export interface RelayClientMessages {
  /** Prove who the user is; during a conversation, replace the token by a newer one. */
  authenticate: RelayAuthenticate;
  /** Replace the token by a newer one of the same user. */
  refresh: RelayRefresh;
  /** Connect to the upstream; what follows goes there. */
  connect_realtime: RelayConnect;
  /** Ask the gateway for a sign of life; is not passed to the upstream. */
  ping: RelayPing;
}

export type RelayClientMessage<
  T extends keyof RelayClientMessages = keyof RelayClientMessages,
> = { [T in keyof RelayClientMessages]: RelayClientMessages[T] }[T];

/** What stands in the messages, by their types. After `realtime_connected`, events of the upstream pass both ways as they are. */
export interface RelayServerMessages {
  /** The connection is authenticated. */
  auth_success: RelayAuthSuccess;
  /** The upstream is connected: from now on messages go there and come from there. */
  realtime_connected: RelayConnected;
  /** A newer token is in force. */
  refresh_success: RelayRefreshSuccess;
  /** The answer to `ping`. */
  pong: RelayPong;
  /** The token expires soon: send `refresh`. */
  token_expiring: RelayTokenExpiring;
  /** This gateway process is stopping; the connection closes soon. */
  shutdown: RelayShutdown;
  /** The connection closes now, and the client may connect again after this time. */
  closing: RelayClosing;
  /** A command or an event is refused; or, for some endings, why the connection closes now. */
  error: RelayError;
}

export type RelayServerMessage<
  T extends keyof RelayServerMessages = keyof RelayServerMessages,
> = { [T in keyof RelayServerMessages]: RelayServerMessages[T] }[T];

/** Codes of refusals and endings in workspaces. */
export type WorkspacesErrorCode = "CONFLICT" | "ACCESS_DENIED" | "INTERNAL_ERROR" | "AUTH_REQUIRED" | "INVALID_TOKEN" | "VALIDATION_ERROR" | "PERMISSION_DENIED" | "LIMIT_EXCEEDED" | "UNAVAILABLE" | "RATE_LIMITED" | "ALREADY_DECIDED" | "BAD_GATEWAY" | "EXPIRED" | "FLOODING" | "GOING_AWAY" | "IDLE" | "INTERNAL" | "INVALID_UTF8" | "NO_PONG" | "PERMISSION_LOST" | "PROTOCOL_ERROR" | "QUOTA" | "REVOKED" | "SLOW" | "TOO_BIG" | "TOO_MANY_CONNECTIONS" | "TOO_MANY_FAULTS" | "TRY_LATER" | "WRONG_DATA";

/** Codes of workspaces after which the same may succeed later. */
export const workspacesTemporary: readonly string[] = ["INTERNAL_ERROR", "UNAVAILABLE", "RATE_LIMITED", "BAD_GATEWAY", "EXPIRED", "GOING_AWAY", "IDLE", "INTERNAL", "NO_PONG", "SLOW", "TRY_LATER"];

/** Events that clients emit, each with its acknowledgement. */
export interface WorkspacesClientEvents {
  /** Join a room of a workspace. */
  join_room: (
    argument: WorkspacesRoom,
    acknowledge: (answer: WorkspacesJoined | WorkspacesRefused) => void,
  ) => void;
  /** Leave a room of a workspace. */
  leave_room: (
    argument: WorkspacesRoom,
    acknowledge: (answer: WorkspacesLeft | WorkspacesRefused) => void,
  ) => void;
  /** Do something in a dashboard. */
  dashboard_action: (
    argument: WorkspacesAction,
    acknowledge: (answer: WorkspacesActed | WorkspacesRefused) => void,
  ) => void;
  /** Decide on a request for approval. */
  approval_response: (
    argument: WorkspacesResponse,
    acknowledge: (answer: WorkspacesDone | WorkspacesRefused) => void,
  ) => void;
  /** Set a value that all windows of the user share; with `version` only if that is the present one. */
  state_sync: (
    argument: WorkspacesState,
    acknowledge: (answer: WorkspacesShared | WorkspacesConflict | WorkspacesRefused) => void,
  ) => void;
  /** Replace the token by a newer one of the same user. */
  token_refresh: (
    argument: WorkspacesToken,
    acknowledge: (answer: WorkspacesRefreshed | WorkspacesRefused) => void,
  ) => void;
}

/** Events that the gateway emits. The backend publishes events under names of its own, and an application adds more. */
export interface WorkspacesServerEvents {
  /** A user did something in a dashboard. */
  dashboard_update: (data: WorkspacesUpdate) => void;
  /** A request for approval waits for a decision. */
  approval_requested: (data: WorkspacesRequested) => void;
  /** A request for approval is decided. */
  approval_resolved: (data: WorkspacesResolved) => void;
  /** Another window of the user has set a shared value. */
  state_changed: (data: WorkspacesChanged) => void;
  /** The token expires soon: emit `token_refresh`. */
  token_expiring: (data: WorkspacesExpiring) => void;
  /** A room is left, not by the client's own command. */
  room_left: (data: WorkspacesRemoved) => void;
  /** Why the connection ends, or why an event without an acknowledgement is refused. */
  error: (data: WorkspacesError) => void;
  /** This gateway process is stopping; the connection closes soon. */
  shutdown: (data: WorkspacesShutdown) => void;
}

/** Close codes, and whether a client may connect again after them. */
export const closeCodes: Readonly<Record<number, boolean>> = { 1000: false, 1001: true, 1002: false, 1003: false, 1006: true, 1007: false, 1008: false, 1009: false, 1011: true, 1012: true, 1013: true, 1014: true, 3001: true, 3005: true, 3008: true, 3012: true, 3013: true, 3014: true, 3500: false, 3501: false, 3502: false, 3503: false, 3504: false, 3507: false };

/** Closes that a protocol words itself, as `code reason`: they come before `closeCodes`. */
export const closeReasons: Readonly<Record<string, Readonly<Record<string, boolean>>>> =
  {"rooms": {"1008 Authentication timeout": false, "1008 Connection timeout": true}, "alerts": {"1001 Server shutting down": true}, "live": {"1001 server shutting down": true, "1008 back-pressure threshold exceeded": true}, "relay": {"1008 Authentication timeout": false}, "workspaces": {}};

/** Closes that invite although no range of codes says so, as `code` or `code reason`. */
export const invitingCloses: readonly string[] = ["1001", "1006", "1011", "1012", "1013", "1014", "1008 Connection timeout", "1008 back-pressure threshold exceeded"];

export type EndingName = "normal" | "going_away" | "protocol_error" | "wrong_data" | "invalid_utf8" | "flooding" | "too_big" | "internal" | "upstream_closed" | "try_later" | "bad_gateway" | "shutdown" | "expired" | "slow" | "no_pong" | "too_many_requests" | "idle" | "auth_failed" | "too_many_faults" | "auth_timeout" | "revoked" | "connection_limit" | "quota" | "permission_lost";

/** An ending of a connection, for messages and documentation. */
export interface Ending {
  name: EndingName;
  code: number;
  reason: string;
  reconnect: boolean;
  meaning: string;
}

/** Every ending of the gateway. A bundler leaves the table out where it is not used. */
export const endings: readonly Ending[] = [
  { name: "normal", code: 1000, reason: "", reconnect: false, meaning: "the client closed" },
  { name: "going_away", code: 1001, reason: "", reconnect: true, meaning: "the client left, or the link broke" },
  { name: "protocol_error", code: 1002, reason: "", reconnect: false, meaning: "a frame broke RFC 6455" },
  { name: "wrong_data", code: 1003, reason: "", reconnect: false, meaning: "a binary message where the dialect speaks text" },
  { name: "invalid_utf8", code: 1007, reason: "", reconnect: false, meaning: "a text message was not UTF-8" },
  { name: "flooding", code: 1008, reason: "policy violation", reconnect: false, meaning: "frames or fragments beyond the limits, or too slowly sent" },
  { name: "too_big", code: 1009, reason: "", reconnect: false, meaning: "a message over the size limit" },
  { name: "internal", code: 1011, reason: "", reconnect: true, meaning: "the gateway failed" },
  { name: "upstream_closed", code: 1000, reason: "upstream closed", reconnect: false, meaning: "the upstream closed; its own code is passed on where it may be" },
  { name: "try_later", code: 1013, reason: "try again later", reconnect: true, meaning: "a handshake was refused by a close: the gateway is full, or a service it needs is away" },
  { name: "bad_gateway", code: 1014, reason: "bad gateway", reconnect: true, meaning: "the upstream could not be reached, or was lost" },
  { name: "shutdown", code: 3001, reason: "shutdown", reconnect: true, meaning: "the node is draining" },
  { name: "expired", code: 3005, reason: "expired", reconnect: true, meaning: "the token ran out" },
  { name: "slow", code: 3008, reason: "slow", reconnect: true, meaning: "the client read too slowly" },
  { name: "no_pong", code: 3012, reason: "no pong", reconnect: true, meaning: "no answer to a ping in time" },
  { name: "too_many_requests", code: 3013, reason: "too many requests", reconnect: true, meaning: "ten refusals by a limit in a row" },
  { name: "idle", code: 3014, reason: "idle", reconnect: true, meaning: "no frame of any kind for the idle time" },
  { name: "auth_failed", code: 3500, reason: "invalid token", reconnect: false, meaning: "the credential was refused" },
  { name: "too_many_faults", code: 3501, reason: "bad request", reconnect: false, meaning: "too many faults in a row" },
  { name: "auth_timeout", code: 3502, reason: "stale", reconnect: false, meaning: "not authenticated in time" },
  { name: "revoked", code: 3503, reason: "force disconnect", reconnect: false, meaning: "the credential was revoked, or an operator ended it" },
  { name: "connection_limit", code: 3504, reason: "connection limit", reconnect: false, meaning: "over the number of connections allowed" },
  { name: "quota", code: 3504, reason: "quota exceeded", reconnect: false, meaning: "a budget of the session or the user is used up" },
  { name: "permission_lost", code: 3507, reason: "permission denied", reconnect: false, meaning: "the right to this endpoint was withdrawn" },
];
