import { useInsertionEffect, useMemo, useRef, useSyncExternalStore, type RefObject } from "react";
import type { ChannelOptions, Unsubscribe } from "../types.js";

/** What a hook shows, and how it is kept up to date. Made for `useSyncExternalStore`. */
export interface Source<V> {
  /** The value now; the same object until it changes. */
  readonly _get: () => V;
  /** The value on a server, and before anything has come. */
  readonly _initial: () => V;
  /** Opens the source, and calls `notify` after each change; returns the function that closes it. */
  readonly _subscribe: (notify: () => void) => Unsubscribe;
}

/** Options that all hooks of channels have. */
export interface HookOptions extends ChannelOptions {
  /** Whether to join or subscribe; `true` unless given. */
  readonly enabled?: boolean;
}

/** Options of the newest render. */
export type Latest<O> = RefObject<O>;

/** Changes members of the value; does nothing when all stay the same, and after the source was closed. */
export type Change<V> = (patch: Partial<V>) => void;

/** Opens a source: returns the functions that end everything that it has begun. */
export type Open<V> = (change: Change<V>, get: () => V) => readonly Unsubscribe[];

/**
 * Makes the source of one hook. `open` is called when the component is mounted, never while it renders,
 * and not at all unless `enabled`. `value` is shown until then, but not on a server.
 */
export function source<V extends object>(
  enabled: boolean,
  initial: V,
  open: Open<V>,
  value = initial,
): Source<V> {
  const get = (): V => value;
  return {
    _get: get,
    _initial: () => initial,
    _subscribe(notify) {
      let opened = enabled;
      value = initial;
      const closing = enabled
        ? open((patch) => {
            const next = { ...value, ...patch };
            if (
              opened &&
              (Object.keys(next) as (keyof V)[]).some((key) => next[key] !== value[key])
            ) {
              value = next;
              notify();
            }
          }, get)
        : [];
      return () => {
        opened = false;
        for (const close of closing) close();
      };
    },
  };
}

/**
 * The function that gives something back after the current turn. What the clean-up of an effect gives
 * back and the next effect of the same commit takes again, as in StrictMode, is never let go in between.
 */
export function giveBack(run: () => unknown): Unsubscribe {
  return () => {
    // An error could be told to nobody: the component is gone.
    Promise.resolve()
      .then(run)
      .catch(() => undefined);
  };
}

/** A list with more values, of which it keeps the newest. */
export function append<T>(list: readonly T[], more: readonly T[], limit = 100): readonly T[] {
  return limit > 0 ? [...list, ...more].slice(-limit) : [];
}

/** A reference to the newest value, current before the effects of each render. */
function useLatest<T>(value: T): Latest<T> {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** Makes the source of a hook for a client, and for a room, a topic or a list of calls. */
export type Make<C, O, V> = (
  client: C,
  id: string,
  enabled: boolean,
  latest: Latest<O>,
  channel: ChannelOptions | undefined,
) => Source<V>;

/** The source of a hook, made anew when it is about something else. */
export function useHeld<C, O extends HookOptions, V>(
  client: C,
  id: string,
  options: O,
  make: Make<C, O, V>,
): Source<V> {
  const latest = useLatest(options);
  const { enabled = true } = options;
  const recovers = !!options.getState;
  return useMemo(
    () =>
      make(
        client,
        id,
        enabled,
        latest,
        recovers ? { getState: (request) => latest.current.getState?.(request) } : undefined,
      ),
    [client, id, enabled, latest, recovers, make],
  );
}

/** The value of a source. */
export function useSource<V>({ _subscribe, _get, _initial }: Source<V>): V {
  return useSyncExternalStore(_subscribe, _get, _initial);
}
