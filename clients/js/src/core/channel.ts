import { PortwardError } from "../errors.js";
import type { RequestOptions } from "../types.js";
import { after, jitter } from "./backoff.js";
import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { sleep } from "./environment.js";

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

  /** Whether it is to be asked for. @internal */
  abstract get _wanted(): boolean;

  /** Waits to be let in. */
  protected _wait({ signal }: RequestOptions, abandon?: () => void): Promise<void> {
    if (signal?.aborted) {
      abandon?.();
      return Promise.reject(aborted());
    }
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
