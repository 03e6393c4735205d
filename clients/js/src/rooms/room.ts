import { Channel } from "../core/channel.js";
import type { Frame } from "../core/requests.js";
import { Stream } from "../core/stream.js";
import { PortwardError, RefusedError } from "../errors.js";
import type {
  HistoryOptions,
  Position,
  RequestOptions,
  Room,
  RoomEvents,
  RoomHistory,
  RoomMessage,
  RoomPermissions,
  RoomState,
  SendResult,
} from "../types.js";
import type { RoomsClient } from "./client.js";
import { Users } from "./presence.js";

/** What became of a message, from the error that its request met. */
function refused(error: PortwardError): SendResult {
  const { code, temporary, retryAfterMs } = error;
  if (code === "unknown") return { status: code };
  return {
    status: "refused",
    code,
    temporary,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** One room of a client. */
export class RoomChannel extends Channel<RoomEvents> implements Room {
  state: RoomState = "out";
  readonly presence = new Users(this);
  /** @internal */
  readonly _stream: Stream<RoomMessage>;
  private _fresh = true;
  private _typed: readonly [active: boolean, until: number] = [false, 0];

  constructor(
    private readonly _client: RoomsClient,
    readonly id: string,
  ) {
    super(_client._rooms._used);
    this._stream = new Stream(
      _client._env,
      id,
      (message) => {
        this._emit("message", message);
      },
      (gap) => {
        this._emit("gap", gap);
      },
    );
    this.presence.on("change", () => {
      this._emit("presence", this.presence.users);
    });
  }

  get position(): Position | undefined {
    return this._stream._place;
  }

  join(options: RequestOptions = {}): Promise<void> {
    const client = this._client;
    if (client.state === "closed" || client.state === "stopped") {
      return Promise.reject(client.error ?? new PortwardError(client.state, client.state));
    }
    this._uses++;
    if (this.state === "in") return Promise.resolve();
    this.state = "joining";
    client._start();
    client._pump();
    return this._wait(options, () => {
      void this.leave();
    });
  }

  async leave(): Promise<void> {
    if (!this._uses || --this._uses) return;
    const told = this._asked || this.state === "in";
    this._out(new PortwardError("left", "the room was left"));
    if (told) await this._goodbye();
  }

  /** Says that one leaves; without a connection one is out already. */
  private async _goodbye(): Promise<void> {
    const { id: roomId } = this;
    await this._client._requests
      ._ask(this._client._encode("leave", { roomId }), { _urgent: true })
      .catch(() => undefined);
  }

  send(content: string, options: RequestOptions = {}): Promise<SendResult> {
    if (this.state === "out") {
      return Promise.resolve(refused(new RefusedError("room_not_found", "not in the room")));
    }
    return this._ask("message", { content }, options, true).then(
      (data): SendResult => ({
        status: "stored",
        id: data["messageId"] as string,
        offset: data["offset"] as number,
        epoch: data["epoch"] as string,
      }),
      refused,
    );
  }

  typing(active: boolean): void {
    const now = this._client._env.now();
    if (this.state !== "in" || (this._typed[0] === active && now < this._typed[1])) return;
    // The same word again says nothing new for a while.
    this._typed = [active, now + 3000];
    this._client._tell("typing", { roomId: this.id, active });
  }

  async history({ signal, ...what }: HistoryOptions = {}): Promise<RoomHistory> {
    return (await this._ask("history", what, signal ? { signal } : {})) as unknown as RoomHistory;
  }

  async kick(userId: string, options: RequestOptions = {}): Promise<void> {
    await this._ask("kick", { userId }, options);
  }

  async setPermissions(permissions: RoomPermissions, options: RequestOptions = {}): Promise<void> {
    await this._ask("set_permissions", { permissions }, options);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<RoomMessage> {
    return this._iterate("message");
  }

  private _ask(type: string, data: object, options: RequestOptions, gated = false): Promise<Frame> {
    const encode = this._client._encode(type, { roomId: this.id, ...data });
    return this._client
      ._call(encode, {
        ...options,
        _owner: this,
        ...(gated && { _gate: () => this.state === "in" }),
      })
      .then((frame) => frame["data"] as Frame);
  }

  // What the client says.

  /** @internal */
  override get _idle(): boolean {
    return super._idle && this.presence._heard < 2;
  }

  /** @internal */
  get _wanted(): boolean {
    return this.state === "joining" && !this._asked;
  }

  /** @internal */
  _joined(data: Frame): void {
    if (!this._uses) {
      void this._goodbye();
      return;
    }
    const { participants, position, recovered, messages = [], snapshot } = data;
    this.state = "in";
    this.presence._set(participants as string[]);
    this._emit("joined", {
      roomId: this.id,
      participants: participants as string[],
      position: position as Position,
      recovered: this._fresh ? undefined : recovered === true,
      snapshot: snapshot as RoomMessage[] | undefined,
    });
    this._fresh = false;
    this._stream._joined(position as Position, recovered === true, messages as RoomMessage[]);
    this._entered();
    this._client._requests._flush();
  }

  /** The server removed this user, or does not let it in. @internal */
  _left(code: string, text: string): void {
    if (!this._uses) return;
    this._uses = 0;
    this._out(new RefusedError(code, text));
    this._emit("left", { roomId: this.id, code });
  }

  /** The connection broke: join again. @internal */
  _away(): void {
    this._asked = false;
    this._stream._interrupt();
    if (this._uses) this.state = "joining";
  }

  /** The client stopped or was closed. @internal */
  _over(error: PortwardError, closed: boolean): void {
    this._away();
    if (closed) {
      this._uses = 0;
      this._out(error);
    } else {
      this._fail(error);
      this._end(error);
    }
  }

  private _out(error: PortwardError): void {
    this.state = "out";
    this._asked = false;
    this._fresh = true;
    this._stream._reset();
    this.presence._set([]);
    this._client._requests._refuse(({ _owner }) => _owner === this, error);
    this._fail(error);
    this._end(error instanceof RefusedError ? error : undefined);
  }

  /** @internal */
  _receive(type: string, data: Frame): void {
    const user = data["userId"] as string;
    if (this.state !== "in") return;
    if (type === "message") this._stream._take(data as RoomMessage);
    else if (type === "user_joined") this.presence._add(user);
    else if (type === "user_left" || type === "user_disconnected") this.presence._remove(user);
    else if (type === "typing") {
      this._emit("typing", { roomId: this.id, userId: user, active: data["active"] === true });
    }
  }
}
