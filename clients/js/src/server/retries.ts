import type { PublisherError } from "./errors.js";

/** How often a call is repeated, and after which waits. */
export interface Retries {
  /** Attempts at most; 1 repeats nothing. 6 by default. */
  readonly attempts?: number;
  /** The first wait is anything up to this, the next anything up to twice as much. 250 by default. */
  readonly firstMs?: number;
  /** No wait is longer, unless the gateway asks for it. 5000 by default. */
  readonly longestMs?: number;
  /** No wait begins that would end later than this after the call. 30000 by default. */
  readonly withinMs?: number;
}

/** What tests put in place of the world. */
export interface PublisherEnvironment {
  readonly fetch: typeof fetch;
  readonly random: () => number;
  /** Milliseconds of a clock that is not set back. */
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const LEAST_MS = 50;

/** The attempts of one call. */
export class Attempts {
  readonly #retries: Required<Retries>;
  readonly #environment: PublisherEnvironment;
  readonly #began: number;
  #failed = 0;

  constructor(retries: Retries, environment: PublisherEnvironment) {
    this.#retries = { attempts: 6, firstMs: 250, longestMs: 5000, withinMs: 30_000, ...retries };
    this.#environment = environment;
    this.#began = environment.now();
  }

  /** How long to wait before the next attempt; throws the error when there is none. */
  wait(error: PublisherError): number {
    const { attempts, firstMs, longestMs, withinMs } = this.#retries;
    const { random, now } = this.#environment;
    this.#failed += 1;
    if (!error.temporary || this.#failed >= attempts) throw error;
    const widest = Math.min(longestMs, firstMs * 2 ** Math.min(this.#failed - 1, 30));
    const named = error.retryAfterMs;
    const wait =
      named === undefined
        ? Math.max(LEAST_MS, random() * widest)
        : named + random() * Math.max(named * 0.25, 500);
    if (now() - this.#began + wait > withinMs) throw error;
    return wait;
  }
}

/** Wait, unless the signal aborts it. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
