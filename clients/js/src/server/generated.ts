// Made by docs/generate.py: change the code, then run it.
/* eslint-disable */

/** An alert about one call. */
export interface AlertRequest {
  callId: string;
  type: string;
  severity: Severity;
  data: Record<string, unknown>;
  idempotency_key?: string | null;
  namespace?: string;
}

/** The id of the alert, as subscribers are told it. */
export interface AlertResult {
  id: string;
}

/** What a call-analysis engine reports: `result`, `events` or `anomalies`, and what belongs to it. */
export interface AnalysisRequest {
  event: string;
  payload: Record<string, unknown>;
  idempotency_key?: string | null;
  namespace?: string;
}

/** The ids of the alerts the report made, in its order. */
export interface AnalysisResult {
  ids: string[];
}

/** What is to be decided, and by whom: the members of `workspace` who may. Asking again with the same `id` and content changes nothing, and answers what was asked first. */
export interface ApprovalAskRequest {
  workspace: string;
  title: string;
  data?: unknown;
  /** Seconds in which it can be decided. */
  expires_in?: number;
  id?: string | null;
  namespace?: string;
}

/** The id of a request for approval. */
export interface ApprovalGetRequest {
  id: string;
}

/** What to ask by, and until when somebody may decide (Unix seconds). */
export interface ApprovalRequestResult {
  id: string;
  expires_at: number;
}

/** A request for approval; the last four once it is decided. Times are Unix seconds. */
export interface ApprovalResult {
  id: string;
  workspace: string;
  title: string;
  data: unknown;
  status: ApprovalStatus;
  created_at: number;
  expires_at: number;
  decision?: Decision | null;
  user?: string | null;
  comment?: string | null;
  decided_at?: number | null;
}

/** How a request for approval stands. */
export type ApprovalStatus = "approved" | "expired" | "pending" | "rejected";

/** A security event. `seq` counts from 1, `time` is UTC as in the log. */
export interface AuditEntry {
  seq: number;
  time: string;
  event: string;
  fields: Record<string, unknown>;
}

/** Commands, each an object whose one key is a method and whose value is its request. */
export interface BatchRequest {
  commands: Record<string, unknown>[];
  /** Known for compatibility; order is kept. */
  parallel?: boolean;
}

/** One reply per command, in order: `{"<method>": <result>}` or `{"error": {…}}`. */
export interface BatchResult {
  replies: Record<string, unknown>[];
}

/** The same publication for several channels. */
export interface BroadcastRequest {
  channels: string[];
  data: unknown;
  key?: string | null;
  type?: string | null;
  idempotency_key?: string | null;
  /** Known for compatibility; `true` is refused. */
  skip_history?: boolean;
}

/** One outcome per channel, in the order asked for. */
export interface BroadcastResult {
  responses: PublishOutcome[];
}

/** One channel. */
export interface ChannelRequest {
  channel: string;
}

/** How many connections listen to a channel. */
export interface ChannelResult {
  num_clients: number;
}

/** Which channels to list, node by node, in the order in which they came to life there. */
export interface ChannelsRequest {
  /** `*`, `?` and `[…]` as in file names; empty for all. */
  pattern?: string;
  limit?: number;
  /** Entries to leave out at the start. */
  offset?: number;
}

/** Channels somebody listens to, and how many there are before `limit` and `offset`. */
export interface ChannelsResult {
  channels: Record<string, ChannelResult>;
  total: number;
  /** Nodes (`uid` of `info`) that did not answer in time: the result lacks them. */
  missing?: string[];
}

/** One connection in a channel. */
export interface ClientResult {
  client: string;
  user: string;
  email?: string | null;
}

/** An open connection. `address` is masked, `opened_at` in Unix seconds. */
export interface ConnectionResult {
  client: string;
  user: string | null;
  endpoint: string;
  address: string;
  opened_at: number;
  channels: string[];
}

/** Which connections to list: node by node, oldest first in each. */
export interface ConnectionsRequest {
  user?: string | null;
  endpoint?: string | null;
  /** Entries at most. */
  limit?: number;
  /** Entries to leave out at the start. */
  offset?: number;
}

/** Connections, and how many there are before `limit` and `offset`. */
export interface ConnectionsResult {
  connections: ConnectionResult[];
  total: number;
  /** Nodes (`uid` of `info`) that did not answer in time: the result lacks them. */
  missing?: string[];
}

/** The possible decisions. */
export type Decision = "approve" | "reject";

/** Whose connections to end. */
export interface DisconnectRequest {
  /** User id (`sub`). */
  user: string;
  /** Connection id; empty means every one. */
  client?: string;
}

/** It was done; there is nothing else to say. */
export interface DoneResult {}

/** What was wrong: a number to act on, a sentence to read. */
export interface ErrorBody {
  code: number;
  message: string;
}

/** Which part of a stream to read. */
export interface HistoryRequest {
  channel: string;
  limit?: number | null;
  since?: Since | null;
  /** Newest first, and before `since`. */
  reverse?: boolean;
}

/** A part of a stream, and where the stream stands now. */
export interface HistoryResult {
  publications: PublicationResult[];
  offset: number;
  epoch: string;
}

/** The nodes. The figures of those that are missing are the last ones known. */
export interface InfoResult {
  nodes: NodeResult[];
  /** Nodes (`uid` of `info`) that did not answer in time: the result lacks them. */
  missing?: string[];
}

/** All workspaces the directory is to have a user belong to, whatever the user's token says. With null the directory says nothing, and the token's workspace counts again. */
export interface MembershipSetRequest {
  /** User id (`sub`). */
  user: string;
  workspaces: string[] | null;
}

/** A node in numbers. `uptime` is in seconds. */
export interface NodeResult {
  uid: string;
  name: string;
  version: string;
  num_clients: number;
  num_users: number;
  num_subs: number;
  num_channels: number;
  uptime: number;
}

/** An empty object. */
export interface NothingRequest {}

/** The permissions the directory has for a user; those of tokens are not among them. */
export interface PermissionsResult {
  permissions: string[];
}

/** All permissions the directory is to have for a user. */
export interface PermissionsSetRequest {
  /** User id (`sub`). */
  user: string;
  permissions: string[];
}

/** Where the publication stands in its stream. */
export interface PositionResult {
  offset: number;
  epoch: string;
}

/** The connections in a channel by their ids. */
export interface PresenceResult {
  presence: Record<string, ClientResult>;
}

/** How many connections and users are in a channel. */
export interface PresenceStatsResult {
  num_clients: number;
  num_users: number;
}

/** A publication. `time` is in Unix milliseconds; a backend's own have no `user`. In a combined channel, `origin` is the channel where it was said. `attachments` are bytes in base64, to which `data` refers by their number. */
export interface PublicationResult {
  data: unknown;
  offset: number;
  id: string;
  time: number;
  key?: string | null;
  type?: string | null;
  user?: string | null;
  email?: string | null;
  signature?: string | null;
  origin?: string | null;
  attachments?: string[];
}

/** How one channel of a broadcast fared: one of the two. */
export interface PublishOutcome {
  result?: PositionResult | null;
  error?: ErrorBody | null;
}

/** A publication: any JSON value up to 64 KiB. */
export interface PublishRequest {
  channel: string;
  data: unknown;
  key?: string | null;
  type?: string | null;
  idempotency_key?: string | null;
  /** Known for compatibility; `true` is refused. */
  skip_history?: boolean;
}

/** Whether there was anything to remove. */
export interface RemovedResult {
  removed: boolean;
}

/** What to take back: exactly one of these. */
export interface RevokeRequest {
  jti?: string;
  session?: string;
  user?: string;
  token?: string;
}

/** How many connections ended. */
export interface RevokeResult {
  ended: number;
  /** Nodes (`uid` of `info`) that did not answer in time: the result lacks them. */
  missing?: string[];
}

/** The roles the directory has for a user; those of tokens are not among them. */
export interface RolesResult {
  roles: string[];
}

/** All roles the directory is to have for a user. */
export interface RolesSetRequest {
  /** User id (`sub`). */
  user: string;
  roles: string[];
}

/** The record of a room. `max_participants` counts users, not connections; 0 means no limit. */
export interface Room {
  id: string;
  name?: string;
  type?: RoomType;
  permissions?: RoomPermissions;
  maxParticipants?: number;
  sanitize?: Sanitize | null;
}

/** Who made the record of a room. */
export type RoomOrigin = "admin" | "backend" | "joiner" | "publisher" | "settings";

/** Role names that may read, write and administer. A higher right includes the lower ones. */
export interface RoomPermissions {
  read?: string[];
  write?: string[];
  admin?: string[];
}

/** One room: the channel `<namespace>:<id>`. */
export interface RoomRequest {
  id: string;
  namespace?: string;
}

/** A record, and where it came from: the `user` who joined, where joining made it. Times are Unix time. */
export interface RoomResult {
  id: string;
  name?: string;
  type?: RoomType;
  permissions?: RoomPermissions;
  maxParticipants?: number;
  sanitize?: Sanitize | null;
  namespace: string;
  origin: RoomOrigin;
  user: string | null;
  expiresAt: number | null;
}

/** The type of a room; it decides the default treatment of its content. */
export type RoomType = "chat" | "collaboration" | "document" | "notification";

/** Which rooms to list, by name; with `orphans` channels where messages are kept without a record. */
export interface RoomsListRequest {
  namespace?: string | null;
  orphans?: boolean;
  /** Entries at most. */
  limit?: number;
  /** Entries to leave out at the start. */
  offset?: number;
}

/** Rooms, or channels without a record, and how many there are before `limit` and `offset`. */
export interface RoomsResult {
  rooms: RoomResult[];
  orphans: string[];
  total: number;
}

/** The whole record of a room: the channel `<namespace>:<id>`. */
export interface RoomsSetRequest {
  id: string;
  name?: string;
  type?: RoomType;
  permissions?: RoomPermissions;
  /** 0 for no limit. */
  maxParticipants?: number;
  sanitize?: Sanitize | null;
  namespace?: string;
  ttl?: number | null;
}

/** `strip` removes angle brackets and script schemes from content; `none` leaves it unchanged. */
export type Sanitize = "none" | "strip";

/** Which security events to read: the newest, or those after number `since`; oldest first. */
export interface SecurityEventsRequest {
  /** Entries at most. */
  limit?: number;
  since?: number | null;
}

/** Security events, oldest first; give the last `seq` as `since` to read on. */
export interface SecurityEventsResult {
  events: AuditEntry[];
  /** Nodes (`uid` of `info`) that did not answer in time: the result lacks them. */
  missing?: string[];
}

/** The severity of an alert. */
export type Severity = "critical" | "high" | "low" | "medium";

/** A position in a stream. Without an epoch the current one is meant. */
export interface Since {
  offset: number;
  epoch?: string;
}

/** A user's access token. */
export interface TicketRequest {
  token: string;
}

/** A ticket that works once, within `expires_in` seconds. */
export interface TicketResult {
  ticket: string;
  expires_in: number;
}

/** Whom to take out of a channel. */
export interface UnsubscribeRequest {
  /** User id (`sub`). */
  user: string;
  channel: string;
  /** Connection id; empty means every one. */
  client?: string;
}

/** One user. */
export interface UserRequest {
  /** User id (`sub`). */
  user: string;
}

/** A signed message as it was delivered or read back. */
export interface VerifyRequest {
  channel: string;
  id: string;
  user: string | null;
  data: unknown;
  /** Milliseconds, as delivered. */
  time: number;
  signature: string;
}

/** Whether the signature is that of the message. */
export interface VerifyResult {
  valid: boolean;
}

/** Every method of the admin API. */
export interface Methods {
  /** Publish to a channel. */
  publish: { request: PublishRequest; result: PositionResult };
  /** Publish the same to several channels. */
  broadcast: { request: BroadcastRequest; result: BroadcastResult };
  /** Read a channel back. */
  history: { request: HistoryRequest; result: HistoryResult };
  /** List the connections in a channel. */
  presence: { request: ChannelRequest; result: PresenceResult };
  /** Count the connections and users in a channel. */
  presence_stats: { request: ChannelRequest; result: PresenceStatsResult };
  /** Check the signature of a signed message. */
  verify: { request: VerifyRequest; result: VerifyResult };
  /** Publish an alert about a call. */
  alert: { request: AlertRequest; result: AlertResult };
  /** Publish the alerts that a call-analysis report makes. */
  analysis: { request: AnalysisRequest; result: AnalysisResult };
  /** Ask the people of a workspace for a decision. */
  approval_request: { request: ApprovalAskRequest; result: ApprovalRequestResult };
  /** Read a request for approval and its verdict. */
  approval_get: { request: ApprovalGetRequest; result: ApprovalResult };
  /** Describe the nodes. */
  info: { request: NothingRequest; result: InfoResult };
  /** List channels somebody listens to. */
  channels: { request: ChannelsRequest; result: ChannelsResult };
  /** List open connections. */
  connections: { request: ConnectionsRequest; result: ConnectionsResult };
  /** Read recent security events. */
  security_events: { request: SecurityEventsRequest; result: SecurityEventsResult };
  /** End the connections of a user, or one of them. */
  disconnect: { request: DisconnectRequest; result: DoneResult };
  /** Take a user out of a channel. */
  unsubscribe: { request: UnsubscribeRequest; result: DoneResult };
  /** Take back a token, a session, or everything a user holds. */
  revoke: { request: RevokeRequest; result: RevokeResult };
  /** Exchange a token for a single-use ticket. */
  ticket: { request: TicketRequest; result: TicketResult };
  /** Replace the roles of a user. */
  roles_set: { request: RolesSetRequest; result: DoneResult };
  /** Read the roles of a user. */
  roles_get: { request: UserRequest; result: RolesResult };
  /** Replace the permissions of a user. */
  permissions_set: { request: PermissionsSetRequest; result: DoneResult };
  /** Read the permissions of a user. */
  permissions_get: { request: UserRequest; result: PermissionsResult };
  /** Replace the workspaces a user belongs to. */
  membership_set: { request: MembershipSetRequest; result: DoneResult };
  /** Make or replace the record of a room. */
  rooms_set: { request: RoomsSetRequest; result: Room };
  /** Read the record of a room. */
  rooms_get: { request: RoomRequest; result: Room };
  /** List rooms, or messages without a record. */
  rooms_list: { request: RoomsListRequest; result: RoomsResult };
  /** Delete what was said in a room, and its record. */
  rooms_remove: { request: RoomRequest; result: RemovedResult };
  /** Carry out several commands in order. */
  batch: { request: BatchRequest; result: BatchResult };
}

export type MethodName = keyof Methods;
