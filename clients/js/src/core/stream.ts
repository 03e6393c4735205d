import type { Environment, Gap, GetState, Position } from "../types.js";
import { jitter } from "./backoff.js";
import { sleep } from "./environment.js";

/** Messages that may wait while the application reads its state. */
const MOST_WAITING = 1000;

/** What has a place in a stream. */
export interface Placed {
  readonly offset: number;
  readonly suppressed?: number;
}

/** The messages of one channel: each once, in order, and no gap without a word. */
export class Stream<M extends Placed> {
  /** Place of the last message that was given out. */
  _place: Position | undefined;
  /** Reads the application's state. */
  _getState: GetState | undefined;
  /** The channel was left since `_getState` was given. */
  _left = false;
  private _loading: AbortController | undefined;
  private _waiting: M[] = [];

  constructor(
    private readonly _env: Environment,
    private readonly _channel: string,
    private readonly _deliver: (message: M) => void,
    private readonly _gap: (gap: Gap) => void,
  ) {}

  /** The channel is joined at a position; `recovered` says that `missed` and what follows is all. */
  _joined(position: Position, recovered: boolean, missed: readonly M[]): void {
    const from = this._place;
    const same = from?.epoch === position.epoch;
    if (same && (recovered || from.offset === position.offset)) {
      for (const message of missed) this._take(message);
    } else this._missing(from, position);
  }

  /** A message has come. */
  _take(message: M): void {
    const place = this._place;
    if (!place) return;
    const { offset } = message;
    if (this._loading) {
      this._waiting.push(message);
      if (this._waiting.length > MOST_WAITING) this._load({ offset, epoch: place.epoch });
    } else if (offset > place.offset) {
      const before = { offset: offset - 1, epoch: place.epoch };
      if (before.offset > place.offset && message.suppressed === undefined) {
        this._missing(place, before);
        if (this._getState) {
          this._waiting.push(message);
          return;
        }
      }
      this._place = { offset, epoch: place.epoch };
      this._deliver(message);
    }
  }

  private _missing(from: Position | undefined, to: Position): void {
    if (this._getState) this._load(to);
    else {
      this._place = to;
      if (from) this._gap({ channel: this._channel, from, to });
    }
  }

  private _load(position: Position): void {
    this._interrupt();
    this._place = position;
    const abort = (this._loading = new AbortController());
    const { signal } = abort;
    void (async () => {
      for (let n = 0; ; n++) {
        try {
          await this._getState?.({ position, signal });
          break;
        } catch {
          // The state is needed: the application is asked again, later each time.
          await sleep(this._env, jitter(n, this._env.random()), signal).catch(() => undefined);
        }
        if (signal.aborted) return;
      }
      if (signal.aborted) return;
      const waiting = this._waiting;
      this._waiting = [];
      this._loading = undefined;
      for (const message of waiting) this._take(message);
    })();
  }

  /** The connection is away, or the channel was left. A state that was half read is read anew. */
  _interrupt(): void {
    if (!this._loading) return;
    this._loading.abort();
    this._loading = this._place = undefined;
    this._waiting = [];
  }

  /** The channel was left. */
  _reset(): void {
    this._interrupt();
    this._place = undefined;
    this._left = true;
  }
}
