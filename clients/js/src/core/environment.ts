import type { Environment, PageEvent, SocketConstructor } from "../types.js";

interface Page extends EventTarget {
  readonly document?: EventTarget & { readonly visibilityState: string };
  readonly navigator?: { readonly onLine?: boolean };
  readonly WebSocket?: SocketConstructor;
}

const NAMES = ["pageshow", "pagehide", "online", "offline"] as const;

function watch(page: Page, listener: (event: PageEvent) => void): () => void {
  const { document } = page;
  // Node has no page, and workers have no document.
  if (typeof page.addEventListener !== "function") return () => undefined;
  const seen = (): void => {
    if (document?.visibilityState === "visible") listener("visible");
  };
  const told = ({ type }: Event): void => {
    listener(type as PageEvent);
  };
  for (const name of NAMES) page.addEventListener(name, told);
  document?.addEventListener("visibilitychange", seen);
  return () => {
    for (const name of NAMES) page.removeEventListener(name, told);
    document?.removeEventListener("visibilitychange", seen);
  };
}

/** Time, randomness, sockets and page of the browser or of Node. */
export function environment(given: Partial<Environment> = {}): Environment {
  const page = globalThis as unknown as Page;
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    delay: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => {
        clearTimeout(timer);
      };
    },
    // Node has a navigator without this property.
    online: () => page.navigator?.onLine !== false,
    watch: (listener) => watch(page, listener),
    WebSocket: page.WebSocket,
    ...given,
  };
}

/** Resolves after a delay; rejects when the signal is aborted. Leaves no timer and no listener. */
export function sleep(env: Environment, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = env.delay(ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
