import { type Address, Connection } from "../core/connection.js";
import { Channels } from "../core/channels.js";
import { type Frame, refusal } from "../core/requests.js";
import { type PortwardError, StoppedError } from "../errors.js";
import type {
  ChannelOptions,
  ClientOptions,
  ConnectionEvents,
  Publication,
  Topic,
} from "../types.js";
import { TopicChannel } from "./topic.js";

/** Options of live. */
export interface LiveOptions extends ClientOptions {
  /** Handshakes in a row that fail before the client stops; 5 unless given. */
  readonly maxHandshakes?: number;
}

/**
 * The client of live topics: one connection for all of them. The browser's cookie says who is there,
 * and a browser does not say why a handshake fails: so the client stops after some that never opened.
 */
export class LiveClient extends Connection<ConnectionEvents> {
  /** @internal */
  readonly _topics = new Channels((name) => new TopicChannel(this, name));
  private _unopened = 0;

  /** `url` is that of the gateway, such as `wss://gateway.example.com`. */
  constructor(
    url: string,
    /** @internal */
    override readonly _options: LiveOptions = {},
  ) {
    super(url, "/live", _options);
  }

  /**
   * The topic of this name; the same object while it is in use, or the application holds it. Each call is
   * taken back by its `close`.
   */
  topic(name: string, options?: ChannelOptions): Topic {
    const topic = this._topics._take(name, options);
    if (this.state !== "closed") {
      topic._use();
      if (this.state !== "stopped") this._start();
      this._begin();
    }
    return topic;
  }

  /** Why nothing more is to be expected. @internal */
  get _final(): PortwardError | undefined {
    return this.state === "stopped" || this.state === "closed" ? this.error : undefined;
  }

  /** Writes without a question. @internal */
  _tell(type: string, topic: string): void {
    this._write(JSON.stringify({ type, topic }));
  }

  /** @internal */
  _address(): Address {
    return { _url: this._url };
  }

  /** @internal */
  override _open(): void {
    this._unopened = 0;
    this._ready();
  }

  /** @internal */
  override _verdict(error: PortwardError): PortwardError | undefined {
    if (this._opened || ++this._unopened < (this._options.maxHandshakes ?? 5)) return undefined;
    this._unopened = 0;
    return new StoppedError("handshake", `no handshake succeeded; the last: ${error.message}`);
  }

  /** @internal */
  _ping(): Frame {
    return { type: "ping" };
  }

  /** @internal */
  _begin(): void {
    if (this.state !== "ready") return;
    for (const topic of this._topics._used) if (topic._wanted) void this._subscribe(topic);
  }

  private async _subscribe(topic: TopicChannel): Promise<void> {
    const { signal } = this._life;
    topic._asked = true;
    try {
      await this._requests._ask((id) => ({ type: "subscribe", topic: topic.name, id }), {
        _urgent: true,
      });
    } catch (error) {
      const { temporary, retryAfterMs } = error as PortwardError;
      if (signal.aborted || !topic._uses) return;
      if (!temporary) topic._forbidden(error as PortwardError);
      else {
        topic._later(this, retryAfterMs, () => {
          this._begin();
        });
      }
    }
  }

  /** @internal */
  _receive(frame: Frame): void {
    const { type, id } = frame;
    const topic = this._topics._get(frame["topic"] as string);
    if (type === "error") {
      const error = refusal(frame);
      if (this._requests._answer(id, frame, error)) return;
      if (error.code === "forbidden") topic?._forbidden(error);
      else this._comeBack(error.retryAfterMs);
      return;
    }
    if (type === "data") topic?._data(frame as unknown as Publication);
    else if (type === "subscribed") topic?._joined(frame);
    // Before a close that invites back: "shutdown" and "closing".
    else this._comeBack(frame["retryMs"]);
    this._requests._answer(id, frame);
  }

  /** @internal */
  _down(): void {
    for (const topic of this._topics._used) topic._away();
  }

  /** @internal */
  _over(error: PortwardError, closed: boolean): void {
    for (const topic of this._topics._used) topic._over(error, closed);
  }
}
