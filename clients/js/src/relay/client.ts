import type { Address } from "../core/connection.js";
import { ProvenConnection } from "../core/proven.js";
import { type Frame, refusal } from "../core/requests.js";
import { PortwardError, RefusedError } from "../errors.js";
import type { ClientOptions, ConnectionEvents, RelayEvent, RelayEvents } from "../types.js";

/** Messages that are the gateway's own, and answer the client's. */
const OWN = new Set(["pong", "auth_success", "refresh_success", "realtime_connected"]);

/**
 * The client of a relay: one conversation with the upstream. It is never resumed: when it ends,
 * `ended` is told, and `connect` begins another one.
 */
export class RelayClient
  extends ProvenConnection<ConnectionEvents & RelayEvents>
  implements AsyncIterable<RelayEvent>
{
  /** The model of the conversation, as the gateway has named it. */
  model: string | undefined;
  private _asked: string | undefined;
  private _first: string | undefined;
  private _talking = false;

  /** `url` is that of the gateway, such as `wss://gateway.example.com`. */
  constructor(url: string, options: ClientOptions = {}) {
    super(url, "/realtime", options);
  }

  /** Begins a conversation, and resolves when the upstream is connected. */
  override connect(model?: string): Promise<void> {
    if (this.state === "idle" || this.state === "stopped") this._asked = model;
    return super.connect();
  }

  /** Sends an event, or bytes as they are. Throws when it cannot be sent; nothing is sent later. */
  send(event: Readonly<Record<string, unknown>> | Uint8Array<ArrayBuffer>): void {
    const buffered = this._buffered(false);
    if (buffered === undefined) throw new RefusedError("not_connected", "no conversation");
    if (buffered > (this._options.queue?.bytes ?? 1_048_576)) {
      throw new PortwardError("queue_full", "too much waits to be sent", { temporary: true });
    }
    this._write(event instanceof Uint8Array ? event : JSON.stringify(event));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<RelayEvent> {
    return this._iterate("event");
  }

  /** @internal */
  async _address(): Promise<Address> {
    this._first = await this._token();
    return { _url: this._url };
  }

  private _ask(type: string, data: object, _within?: number): Promise<Frame> {
    return this._requests._ask((id) => ({ type, ...data, id }), {
      _urgent: true,
      ...(_within !== undefined && { _within }),
    });
  }

  /** @internal */
  override _open(): void {
    void this._enter();
  }

  private async _enter(): Promise<void> {
    const { signal } = this._life;
    if (this._first !== undefined) {
      await this._prove("connect", (token) => this._ask("authenticate", { token }), this._first);
    }
    this._first = undefined;
    if (signal.aborted) return;
    this._step(30_000);
    await this._ask("connect_realtime", { model: this._asked }, 30_000).catch((error: unknown) => {
      if (!signal.aborted) this._failed(error);
    });
  }

  /** @internal */
  _ping(): Frame {
    return { type: "ping" };
  }

  /** @internal */
  _receive(frame: Frame): void {
    const { type, id } = frame as { type: string; id?: string };
    const error = type === "error" && typeof frame["code"] === "string";
    if (error && this._requests._answer(id, frame, refusal(frame))) return;
    if (OWN.has(type)) {
      if (type === "realtime_connected") this._connected(frame);
      this._requests._answer(id, frame);
      return;
    }
    if (type === "token_expiring") {
      void this._renew(frame["expiresAt"], (token) => this._ask("refresh", { token }));
    } else if (error || type === "shutdown" || type === "closing") this._comeBack(frame["retryMs"]);
    if (this._talking) this._emit("event", frame as RelayEvent);
  }

  private _connected({ model }: Frame): void {
    this.model = model as string | undefined;
    this._talking = true;
    this._ready();
  }

  /** @internal */
  override _binary = (data: unknown): void => {
    this._emit("binary", new Uint8Array(data as ArrayBuffer));
  };

  /** @internal */
  override _verdict(error: PortwardError): PortwardError | undefined {
    return this._talking ? error : undefined;
  }

  /** @internal */
  _begin(): void {
    // What is said is the application's.
  }

  /** @internal */
  _down(): void {
    // A conversation has nothing that could be taken up again.
  }

  /** @internal */
  _over(error: PortwardError): void {
    if (!this._talking) return;
    this._talking = false;
    this._emit("ended", error);
  }
}
