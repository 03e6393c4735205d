import { Channel } from "../core/channel.js";
import type { Frame } from "../core/requests.js";
import { Stream } from "../core/stream.js";
import { type PortwardError, RefusedError } from "../errors.js";
import type { Position, Publication, RequestOptions, Topic, TopicEvents } from "../types.js";
import type { LiveClient } from "./client.js";

/** One topic of a client. */
export class TopicChannel extends Channel<TopicEvents> implements Topic {
  snapshot: ReadonlyMap<string, Publication> = new Map();
  subscribed = false;
  /** @internal */
  readonly _stream: Stream<Publication>;
  private _refused: PortwardError | undefined;

  constructor(
    private readonly _client: LiveClient,
    readonly name: string,
  ) {
    super(_client._topics._used);
    this._stream = new Stream(
      _client._env,
      name,
      (publication) => {
        const { key } = publication;
        if (key !== undefined) this.snapshot = new Map(this.snapshot).set(key, publication);
        this._emit("data", publication);
      },
      (gap) => {
        this._emit("gap", gap);
      },
    );
  }

  ready(options: RequestOptions = {}): Promise<void> {
    if (this.subscribed) return Promise.resolve();
    const refused = this._refused ?? this._client._final;
    return refused ? Promise.reject(refused) : this._wait(options);
  }

  close(): void {
    if (!this._uses || --this._uses) return;
    const told = this._asked || this.subscribed;
    this._out(new RefusedError("closed", "the topic was closed"));
    this._end();
    if (told) this._client._tell("unsubscribe", this.name);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Publication> {
    return this._iterate("data");
  }

  /** @internal */
  get _wanted(): boolean {
    return this._uses > 0 && !this.subscribed && !this._asked && !this._refused;
  }

  /** Somebody else wants it; what was refused is tried anew. @internal */
  _use(): void {
    this._uses++;
    this._refused = undefined;
    this._hold();
  }

  /** @internal */
  _joined({ snapshot = [], position }: Frame): void {
    if (!this._uses) return;
    const { offset, epoch } = position as Position;
    const place = this._stream._place;
    const entries = (snapshot as Publication[]).map((each) => ({ ...each, topic: this.name }));
    this.subscribed = true;
    this.snapshot = new Map(entries.map((each) => [each.key ?? "", each]));
    this._emit("snapshot", this.snapshot);
    // What the snapshot has of each offset since then was not replaced by anything: it is all.
    const missed = entries.filter((each) => place?.epoch === epoch && each.offset > place.offset);
    const all = missed.length === offset - (place?.offset ?? 0);
    this._stream._joined(
      { offset, epoch },
      all,
      all ? missed.sort((a, b) => a.offset - b.offset) : [],
    );
    this._entered();
  }

  /** @internal */
  _data(publication: Publication): void {
    if (this.subscribed) this._stream._take(publication);
  }

  /** @internal */
  _forbidden(error: PortwardError): void {
    this._refused = error;
    this._out(error);
    this._end(error);
    this._emit("forbidden", error);
  }

  /** @internal */
  _away(): void {
    this._asked = this.subscribed = false;
    this._stream._interrupt();
  }

  /** @internal */
  _over(error: PortwardError, closed: boolean): void {
    this._away();
    if (closed) this._out(error);
    else this._fail(error);
    this._end(closed ? undefined : error);
  }

  private _out(error: PortwardError): void {
    this._asked = this.subscribed = false;
    this.snapshot = new Map();
    this._stream._reset();
    this._fail(error);
  }
}
