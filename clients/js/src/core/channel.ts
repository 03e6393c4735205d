import { PortwardError } from "../errors.js";
import type { ChannelOptions, RequestOptions, Unsubscribe } from "../types.js";
import { after, jitter } from "./backoff.js";
import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { sleep } from "./environment.js";
import type { Stream } from "./stream.js";

/** Who waits to be let in. */
export interface Waiter {
  readonly _resolve: () => void;
  readonly _reject: (error: PortwardError) => void;
}

/** The error of a signal that was aborted. */
export function aborted(): PortwardError {
  return new PortwardError("aborted", "the signal was aborted");
}

/** A channel of a connection: who waits for it, and how often it was asked for. */
export abstract class Channel<E extends object> extends Emitter<E> {
  /** A request to let it in is on its way, or waits for its time. @internal */
  _asked = false;
  /** How often the application has asked for it, and not taken that back. @internal */
  _uses = 0;
  private _tries = 0;
  private readonly _waiters = new Set<Waiter>();
  /** @internal */
  abstract readonly _stream: Pick<Stream<never>, "_getState" | "_left">;

  /** `_used` are the channels that their client must not forget. */
  constructor(private readonly _used: { add(channel: unknown): unknown }) {
    super();
  }

  override on<K extends keyof E>(event: K, listener: E[K]): Unsubscribe {
    this._hold();
    return super.on(event, listener);
  }

  /** It is in use. @internal */
  _hold(): void {
    this._used.add(this);
  }

  /** Whether nothing would be missed if it were forgotten. @internal */
  get _idle(): boolean {
    const { _getState, _left } = this._stream;
    return !this._uses && !this._waiters.size && !this._heard && (_left || !_getState);
  }

  /**
   * The application asks for it. Its `getState` stays until the channel is left, and then until somebody
   * asks for the channel again. @internal
   */
  _offer({ getState }: ChannelOptions): void {
    const stream = this._stream;
    if (!getState && (this._uses || !stream._left)) return;
    stream._getState = getState;
    stream._left = false;
    if (getState) this._hold();
  }

  /** Whether it is to be asked for. @internal */
  abstract get _wanted(): boolean;

  /** Waits to be let in. */
  protected _wait({ signal }: RequestOptions, abandon?: () => void): Promise<void> {
    if (signal?.aborted) {
      abandon?.();
      return Promise.reject(aborted());
    }
    this._hold();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this._waiters.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = {
        _resolve: () => {
          done();
          resolve();
        },
        _reject: (error) => {
          done();
          reject(error);
        },
      };
      const abort = (): void => {
        waiter._reject(aborted());
        abandon?.();
      };
      this._waiters.add(waiter);
      signal?.addEventListener("abort", abort);
    });
  }

  /** It was let in. */
  protected _entered(): void {
    this._asked = false;
    this._tries = 0;
    for (const waiter of this._waiters) waiter._resolve();
  }

  /** It will not be let in. @internal */
  _fail(error: PortwardError): void {
    for (const waiter of this._waiters) waiter._reject(error);
  }

  /** Asks again when the wait after a refusal for a moment is over. @internal */
  _later(client: Connection<never>, retryAfterMs: number | undefined, again: () => void): void {
    const { _env, _life } = client;
    const random = _env.random();
    const wait =
      retryAfterMs === undefined ? jitter(this._tries++, random) : after(retryAfterMs, random);
    this._asked = true;
    sleep(_env, wait, _life.signal).then(
      () => {
        this._asked = false;
        again();
      },
      () => undefined,
    );
  }
}
