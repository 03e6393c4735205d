import type { PortwardError } from "../errors.js";
import type { Unsubscribe } from "./connection.js";

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A place in the stream of one channel. */
export interface Position {
  /** Number of the last message before this place. Offsets of one epoch have no gaps. */
  readonly offset: number;
  /** Name of one life of the stream. Offsets of different epochs cannot be compared. */
  readonly epoch: string;
}

/** Options of one request. */
export interface RequestOptions {
  /** Gives the request up when it is aborted. */
  readonly signal?: AbortSignal;
}

/** The message was stored, and has a place. */
export interface Stored {
  /** The message has a place. */
  readonly status: "stored";
  /** Id of the message. */
  readonly id: string;
  /** Its number in the stream. */
  readonly offset: number;
  /** The life of the stream. */
  readonly epoch: string;
}

/** The message was not stored. */
export interface Refused {
  /** The message was not stored. */
  readonly status: "refused";
  /** Code of the server, or `queue_full`, `closed`, `aborted`, `stopped` of the client. */
  readonly code: string;
  /** Whether the same may succeed later. */
  readonly temporary: boolean;
  /** Milliseconds after which to try again, where the server named them. */
  readonly retryAfterMs?: number;
}

/** The message was written, and the connection broke before an answer: it may have been stored. */
export interface Unknown {
  /** Nobody knows. */
  readonly status: "unknown";
}

/** What became of a message. */
export type SendResult = Stored | Refused | Unknown;

/** Messages of a channel that cannot be brought any more. */
export interface Gap {
  /** Room, call or topic. */
  readonly channel: string;
  /** Place of the last message that was given out; `undefined` when there was none. */
  readonly from: Position | undefined;
  /** Place from which messages go on. */
  readonly to: Position | undefined;
}

/** What `getState` is called with. */
export interface StateRequest {
  /** The state must contain everything up to here. Messages after it follow by themselves. */
  readonly position: Position;
  /** Aborted when the answer is no longer needed. */
  readonly signal: AbortSignal;
}

/** Reads the application's own state of a channel and shows it. */
export type GetState = (request: StateRequest) => unknown;

/** Options of a channel. */
export interface ChannelOptions {
  /**
   * Called when the channel is joined for the first time, and when messages are missing. After the last
   * one has left, it is forgotten when the channel is asked for without one.
   */
  readonly getState?: GetState;
}

/** Users of a room. */
export interface Presence {
  /** Ids of the users, in order of their arrival. The same array until it changes. */
  readonly users: readonly string[];
  /** Whether a user is in the room. */
  has(user: string): boolean;
  /** Calls a function after each change; returns the function that stops it. */
  subscribe(listener: () => void): Unsubscribe;
}

/** A message of a room. */
export interface RoomMessage {
  /** Id of the message. */
  readonly id: string;
  /** `chat_message`, or another word of the backend. */
  readonly type: string;
  /** Room that it is of. */
  readonly roomId: string;
  /** Text of a user, or any JSON value of the backend. */
  readonly content: Json;
  /** Id of the sender; `null` for the backend. */
  readonly userId: string | null;
  /** Address of the sender, where the server exposes it. */
  readonly email?: string;
  /** Unix milliseconds. */
  readonly timestamp: number;
  /** Its number in the stream of the room. */
  readonly offset: number;
  /** HMAC of the message, where the server signs. */
  readonly signature?: string;
  /** How many messages of this type were left out before, where the server has a cooldown. */
  readonly suppressed?: number;
}

/** A user begins or stops to type. */
export interface TypingEvent {
  /** Room that it is of. */
  readonly roomId: string;
  /** User that types. */
  readonly userId: string;
  /** Whether the user types. */
  readonly active: boolean;
}

/** The room was joined, for the first time or after a break. */
export interface JoinedEvent {
  /** Room that was joined. */
  readonly roomId: string;
  /** Ids of the users in it. */
  readonly participants: readonly string[];
  /** Where the room stands. */
  readonly position: Position;
  /** Whether everything that was missed has come; `undefined` at the first join. */
  readonly recovered: boolean | undefined;
  /** The latest message of every key, where the server keeps them. */
  readonly snapshot: readonly RoomMessage[] | undefined;
}

/** The room was left, not by the application. */
export interface LeftEvent {
  /** Room that was left. */
  readonly roomId: string;
  /** `permission_denied`, `kicked`, `unsubscribed`, or the code that refused to join again. */
  readonly code: string;
}

/** Events of a room. */
export interface RoomEvents {
  /** A message, each once and in order. */
  message: (message: RoomMessage) => void;
  /** Messages are missing for good; only without `getState`. */
  gap: (gap: Gap) => void;
  /** The room was joined, for the first time or again. */
  joined: (event: JoinedEvent) => void;
  /** The server removed this user, or refused to let it in. */
  left: (event: LeftEvent) => void;
  /** Another user begins or stops to type. */
  typing: (event: TypingEvent) => void;
  /** The users of the room have changed. */
  presence: (users: readonly string[]) => void;
}

/** What to read of a history. `before` and `since` exclude each other. */
export interface HistoryOptions extends RequestOptions {
  /** How many at most; 50 unless given, never more than 100; 0 for the position alone. */
  readonly limit?: number;
  /** Only messages with a smaller offset. */
  readonly before?: number;
  /** Only messages after this place. */
  readonly since?: number | Position;
}

/** A page of a room's history. */
export interface RoomHistory {
  /** Oldest first. */
  readonly messages: readonly RoomMessage[];
  /** Where the room stands now. */
  readonly position: Position;
}

/** Names of the roles that may read, write and administer a room. */
export interface RoomPermissions {
  /** Roles that may join and read. */
  readonly read?: readonly string[];
  /** Roles that may also send. */
  readonly write?: readonly string[];
  /** Roles that may also administer the room. */
  readonly admin?: readonly string[];
}

/** State of a room: `out`, `joining` (also while the connection is away), `in`. */
export type RoomState = "out" | "joining" | "in";

/** One room. */
export interface Room extends AsyncIterable<RoomMessage> {
  /** Id of the room. */
  readonly id: string;
  /** Whether this client is in the room. */
  readonly state: RoomState;
  /** Users of the room. */
  readonly presence: Presence;
  /** Place of the last message that was given out. */
  readonly position: Position | undefined;
  /** Joins; resolves when the server has let the client in. */
  join(options?: RequestOptions): Promise<void>;
  /** Takes one `join` back; the last one leaves the room. */
  leave(): Promise<void>;
  /** Sends a message. Never rejects for what the server or the network does. */
  send(content: string, options?: RequestOptions): Promise<SendResult>;
  /** Tells the others whether this user is typing. Lost without a connection. */
  typing(active: boolean): void;
  /** Reads the history. */
  history(options?: HistoryOptions): Promise<RoomHistory>;
  /** Removes a user, for administrators of the room. */
  kick(userId: string, options?: RequestOptions): Promise<void>;
  /** Says which roles may do what, for administrators of the room. */
  setPermissions(permissions: RoomPermissions, options?: RequestOptions): Promise<void>;
  /** Listens; returns the function that stops listening. */
  on<E extends keyof RoomEvents>(event: E, listener: RoomEvents[E]): Unsubscribe;
}

/** How bad an alert is. */
export type Severity = "low" | "medium" | "high" | "critical";

/** An alert of a call. */
export interface Alert {
  /** Id of the alert, the same for everybody. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly timestamp: number;
  /** Call that it is about. */
  readonly callId: string;
  /** `call_quality`, `call_event:…`, `anomaly:…`, or a word of the backend. */
  readonly type: string;
  /** How bad it is. */
  readonly severity: Severity;
  /** What the type says. */
  readonly data: Readonly<Record<string, Json>>;
  /** Its number in the stream of its call, or of all calls. */
  readonly offset: number;
  /** The life of that stream. */
  readonly epoch: string;
  /** How many of the same call and type were left out before this one. */
  readonly suppressed?: number;
  /** This one was held back by the cooldown; alerts with higher offsets may have come before it. */
  readonly late?: boolean;
}

/** A call that may not be heard, or no longer. */
export interface DeniedEvent {
  /** The call. */
  readonly callId: string;
  /** `permission_denied`, or `limit_exceeded` for one too many. */
  readonly code: string;
}

/** Events of alerts. */
export interface AlertEvents {
  /** An alert, each once. */
  alert: (alert: Alert) => void;
  /** Alerts of a call are missing for good. */
  gap: (gap: Gap) => void;
  /** A call may not be heard, or no longer. */
  denied: (event: DeniedEvent) => void;
}

/** A publication of a topic. */
export interface Publication {
  /** Topic that it is of. */
  readonly topic: string;
  /** The part of the topic that this publication replaces. */
  readonly key?: string;
  /** What was published. */
  readonly data: Json;
  /** Unix milliseconds. */
  readonly ts: number;
  /** Its number in the stream of the topic. */
  readonly offset: number;
}

/** Events of a topic. */
export interface TopicEvents {
  /** A publication, each once and in order. */
  data: (publication: Publication) => void;
  /** The snapshot was replaced: at the first subscription, and after every break. */
  snapshot: (snapshot: ReadonlyMap<string, Publication>) => void;
  /** Publications are missing for good; only without `getState`. */
  gap: (gap: Gap) => void;
  /** The topic may not be heard, or no longer. */
  forbidden: (error: PortwardError) => void;
}

/** One topic of live. */
export interface Topic extends AsyncIterable<Publication> {
  /** Name of the topic. */
  readonly name: string;
  /** The latest publication of every key. The same map until it changes. */
  readonly snapshot: ReadonlyMap<string, Publication>;
  /** Whether the server has accepted the subscription on this connection. */
  readonly subscribed: boolean;
  /** Resolves when the topic is subscribed; rejects when it is refused. */
  ready(options?: RequestOptions): Promise<void>;
  /** Ends the subscription; the last user of the topic unsubscribes. */
  close(): void;
  /** Listens; returns the function that stops listening. */
  on<E extends keyof TopicEvents>(event: E, listener: TopicEvents[E]): Unsubscribe;
}

/** An event of the upstream behind a relay. */
export interface RelayEvent {
  /** What it is, in the words of the upstream. */
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Events of a relay. */
export interface RelayEvents {
  /** A text message of the upstream, read as JSON. */
  event: (event: RelayEvent) => void;
  /** A binary message of the upstream. */
  binary: (bytes: Uint8Array) => void;
  /** The conversation is over; a new `connect` begins another one. */
  ended: (error: PortwardError) => void;
}
