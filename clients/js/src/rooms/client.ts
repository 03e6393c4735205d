import { Channels } from "../core/channels.js";
import type { Address } from "../core/connection.js";
import { ProvenConnection } from "../core/proven.js";
import { type Frame, refusal } from "../core/requests.js";
import { type PortwardError, RefusedError, UnauthorizedError } from "../errors.js";
import type { ChannelOptions, ClientOptions, ConnectionEvents, Room } from "../types.js";
import { RoomChannel } from "./room.js";

/** Rooms that one message may join. */
const MOST_TOGETHER = 128;

/** Reasons of `room_left` after which one joins again. */
const AGAIN = new Set(["insufficient_state", "unavailable"]);

/** Who the server takes the client for. */
export interface User {
  /** Id of the user. */
  readonly userId: string;
  /** Address of the user, where the token has one. */
  readonly email: string | null;
  /** Roles of the user. */
  readonly roles: readonly string[];
}

/** The client of rooms: one connection for all of them, made by the first join. */
export class RoomsClient extends ProvenConnection<ConnectionEvents> {
  /** Who the server takes this client for; `undefined` before the first connection. */
  user: User | undefined;
  /** @internal */
  readonly _rooms = new Channels((id) => new RoomChannel(this, id));
  private readonly _joins = new Set<string>();
  private _session: string | undefined;
  private _first: string | undefined;
  private _pumping = false;

  /** `url` is that of the gateway, such as `wss://gateway.example.com`. */
  constructor(url: string, options: ClientOptions = {}) {
    super(url, "/rooms", options);
  }

  /** The room of this id; the same object while it is in use, or the application holds it. */
  room(id: string, options?: ChannelOptions): Room {
    return this._rooms._take(id, options);
  }

  /** @internal */
  _encode(type: string, data: object): (id?: string) => object {
    return (id) => ({ type, data, timestamp: this._env.now(), ...(id !== undefined && { id }) });
  }

  /** Writes without a question. @internal */
  _tell(type: string, data: object): void {
    this._write(JSON.stringify(this._encode(type, data)()));
  }

  /** @internal */
  async _address(): Promise<Address> {
    // A login that is over is noticed before there is a socket.
    if (this._session === undefined) this._first = await this._token();
    return { _url: this._url };
  }

  /** @internal */
  _ping(): Frame {
    return this._encode("heartbeat", {})();
  }

  private _auth(data: object): Promise<unknown> {
    this._step();
    return this._requests._ask(this._encode("auth", data), { _urgent: true });
  }

  private async _authenticate(): Promise<void> {
    const { signal } = this._life;
    const session = this._session;
    if (session !== undefined) {
      this._session = undefined;
      try {
        await this._auth({ wsToken: session });
        return;
      } catch (error) {
        if (signal.aborted) return;
        const { code, temporary } = error as PortwardError;
        if (code === "token_revoked") {
          this._stop(new UnauthorizedError("the session was revoked", code));
          return;
        }
        if (temporary) {
          // It may be good still.
          this._session = session;
          this._failed(error);
          return;
        }
      }
    }
    const token = this._first;
    this._first = undefined;
    // Without a source of tokens the endpoint asks for none, or takes it from the handshake.
    if (this._options.getToken)
      await this._prove("connect", (each) => this._auth({ token: each }), token);
    else this._ready();
  }

  private _refresh(token: string): Promise<unknown> {
    return this._requests._ask(this._encode("refresh", { token }), { _urgent: true });
  }

  /** @internal */
  _receive(frame: Frame): void {
    const { type, id } = frame as { type: string; id?: string };
    const data = (frame["data"] ?? {}) as Frame;
    const room = this._rooms._get(data["roomId"] as string);
    if (data["wsToken"]) this._session = data["wsToken"] as string;
    if (id === undefined) this._unasked(type, data, room);
    // A room that is left, and forgotten, meanwhile: the answer is that one leaves.
    else if (type === "room_joined") this._rooms._take(data["roomId"] as string)._joined(data);
    else this._answered(type, id, frame, data);
  }

  private _answered(type: string, id: string, frame: Frame, data: Frame): void {
    if (type === "auth_success") this._authenticated(data);
    if (type !== "error") this._requests._answer(id, frame);
    // One of several rooms: the end of the answer names it again.
    else if (!data["roomId"] || !this._joins.has(id)) {
      this._requests._answer(id, frame, refusal(data));
    }
  }

  private _unasked(type: string, data: Frame, room: RoomChannel | undefined): void {
    switch (type) {
      case "handshake":
        void this._authenticate();
        break;
      case "auth_success":
        this._authenticated(data);
        break;
      case "token_expiring":
        void this._renew(data["expiresAt"], (token) => this._refresh(token));
        break;
      case "shutdown":
      case "closing":
      case "error":
        // An error that answers nothing, and names a time, comes before a close.
        this._comeBack(data["retryMs"] ?? data["retryAfterMs"]);
        break;
      case "room_left":
        if (room) this._removed(room, String(data["reason"]));
        break;
      default:
        room?._receive(type, data);
    }
  }

  private _authenticated({ user }: Frame): void {
    this.user = user as User;
    if (this.state === "connecting") this._ready();
  }

  private _removed(room: RoomChannel, code: string): void {
    const temporary = AGAIN.has(code);
    if (temporary) room._away();
    this._refused(room, new RefusedError(code, "removed from the room", { temporary }));
  }

  /** @internal */
  _begin(): void {
    this._pump();
  }

  /** Joins whatever is to be joined, together. @internal */
  _pump(): void {
    if (this._pumping) return;
    this._pumping = true;
    queueMicrotask(() => {
      this._pumping = false;
      while (this.state === "ready") {
        const rooms = [...this._rooms._used].filter((room) => room._wanted);
        if (!rooms.length) return;
        void this._join(rooms.slice(0, MOST_TOGETHER));
      }
    });
  }

  private async _join(batch: readonly RoomChannel[]): Promise<void> {
    const { signal } = this._life;
    const rooms = batch.map((room) => {
      room._asked = true;
      return { roomId: room.id, ...(room.position && { since: room.position }) };
    });
    let number = "";
    try {
      const { data } = await this._requests._ask(
        (id) => {
          this._joins.add((number = id));
          return this._encode("join", { rooms })(id);
        },
        { _within: 60_000, _urgent: true },
      );
      for (const failed of (data as Frame)["failed"] as Frame[]) {
        const room = this._rooms._get(failed["roomId"] as string);
        if (room) this._refused(room, refusal(failed));
      }
    } catch (error) {
      if (signal.aborted) return;
      if ((error as PortwardError).code === "unknown") this._lost(error as PortwardError);
      else for (const room of batch) this._refused(room, error as PortwardError);
    } finally {
      this._joins.delete(number);
    }
  }

  /** The server does not let this user in, or not now. */
  private _refused(room: RoomChannel, error: PortwardError): void {
    const { code, temporary, retryAfterMs, message } = error;
    if (!temporary) room._left(code, message);
    else {
      room._later(this, retryAfterMs, () => {
        this._pump();
      });
    }
  }

  /** @internal */
  _down(): void {
    this._joins.clear();
    for (const room of this._rooms._used) room._away();
  }

  /** @internal */
  _over(error: PortwardError, closed: boolean): void {
    this._session = this._first = undefined;
    for (const room of this._rooms._used) room._over(error, closed);
  }
}
