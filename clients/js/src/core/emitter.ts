import { OverflowError } from "../errors.js";
import type { Unsubscribe } from "../types.js";

/** Values that may wait in an iterator. */
const MOST_WAITING = 1000;

/** An exception of an application's listener is the application's: it surfaces as an uncaught error. */
function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Calls a function of the application; an exception of it changes nothing here. */
export function guarded<A extends unknown[]>(run: (...args: A) => void, ...args: A): void {
  try {
    run(...args);
  } catch (error) {
    surface(error);
  }
}

type Listener = (...args: never[]) => void;

/** Listeners by event. */
export class Emitter<E extends object> {
  private readonly _listeners = new Map<PropertyKey, Set<readonly [Listener]>>();
  private readonly _ends = new Set<(error?: Error) => void>();

  /** Listens; returns the function that stops listening. */
  on<K extends keyof E>(event: K, listener: E[K]): Unsubscribe {
    const entry = [listener as Listener] as const;
    const all = this._listeners.get(event) ?? new Set();
    this._listeners.set(event, all.add(entry));
    return () => {
      all.delete(entry);
    };
  }

  /** @internal */
  _emit<K extends keyof E>(event: K, ...args: E[K] extends (...args: infer A) => void ? A : never) {
    for (const [listener] of [...(this._listeners.get(event) ?? [])]) {
      guarded(listener as (...args: unknown[]) => void, ...args);
    }
  }

  /** How many listen. @internal */
  get _heard(): number {
    let sum = 0;
    for (const { size } of this._listeners.values()) sum += size;
    return sum;
  }

  /** Ends the iterators. @internal */
  _end(error?: Error): void {
    for (const end of [...this._ends]) end(error);
  }

  /** The values of an event, one after the other. @internal */
  _iterate<T>(event: keyof E): AsyncIterableIterator<T> {
    const values: T[] = [];
    let readers: { resolve: (result: IteratorResult<T>) => void; reject: (e: Error) => void }[] =
      [];
    let over: { error: Error | undefined } | undefined;
    const finish = (error?: Error): void => {
      if (over) return;
      off();
      this._ends.delete(finish);
      over = { error };
      for (const { resolve, reject } of readers) {
        if (error) reject(error);
        else resolve({ done: true, value: undefined });
        error = over.error = undefined;
      }
      readers = [];
    };
    const off = this.on(event, ((value: T) => {
      const reader = readers.shift();
      if (reader) reader.resolve({ done: false, value });
      else if (values.push(value) > MOST_WAITING) {
        values.pop();
        finish(new OverflowError());
      }
    }) as E[keyof E]);
    this._ends.add(finish);
    return {
      next: () =>
        new Promise((resolve, reject) => {
          if (values.length) resolve({ done: false, value: values.shift() as T });
          else if (!over) readers.push({ resolve, reject });
          else if (over.error) {
            reject(over.error);
            over.error = undefined;
          } else resolve({ done: true, value: undefined });
        }),
      return: () => {
        values.length = 0;
        finish();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
