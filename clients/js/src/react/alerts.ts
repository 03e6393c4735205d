import type { PortwardError } from "../errors.js";
import type { Alert, DeniedEvent, Gap } from "../types.js";
import { useClient, type AlertsSource } from "./provider.js";
import {
  append,
  giveBack,
  source,
  useHeld,
  useSource,
  type HookOptions,
  type Make,
} from "./source.js";

/** Options of {@link useAlerts}. Functions may be written in place: the newest one is called. */
export interface UseAlertsOptions extends HookOptions {
  /** How many alerts to keep, the newest; 100 unless given. */
  readonly limit?: number;
  readonly onAlert?: (alert: Alert) => void;
  readonly onDenied?: (event: DeniedEvent) => void;
  readonly onGap?: (gap: Gap) => void;
}

/** What {@link useAlerts} returns. */
export interface AlertsView {
  /** In the order in which they came. The same array until it changes. */
  readonly alerts: readonly Alert[];
  /** Calls that may not be heard. */
  readonly denied: readonly string[];
  /** Why nothing comes, or what failed last. */
  readonly error: PortwardError | undefined;
  /** The last gap: alerts that cannot be brought any more. */
  readonly gap: Gap | undefined;
}

const EMPTY: AlertsView = { alerts: [], denied: [], error: undefined, gap: undefined };

/** How many hooks want each call of a client. */
const wanted = new WeakMap<AlertsSource, Map<string, number>>();

/** Counts one hook more, or one less, for each call; returns those that none wants now. */
function count(
  counts: Map<string, number>,
  callIds: readonly string[],
  step: 1 | -1,
): readonly string[] {
  return callIds.filter((id) => {
    const hooks = (counts.get(id) ?? 0) + step;
    counts.set(id, hooks);
    return hooks === 0 && counts.delete(id);
  });
}

const watch: Make<AlertsSource, UseAlertsOptions, AlertsView> = (client, key, enabled, latest) => {
  const ids = JSON.parse(key) as string[];
  const mine = (id: string): boolean => ids.includes(id);
  return source(enabled && ids.length > 0, EMPTY, (change, get) => {
    const counts = wanted.get(client) ?? new Map<string, number>();
    wanted.set(client, counts);
    count(counts, ids, 1);
    const subscribe = (): void => {
      client.subscribe(ids).then(
        () => {
          change({ error: undefined });
        },
        (error: unknown) => {
          change({ error: error as PortwardError });
        },
      );
    };
    subscribe();
    return [
      client.on("alert", (alert) => {
        if (mine(alert.callId) || mine("*")) {
          change({ alerts: append(get().alerts, [alert], latest.current.limit) });
          latest.current.onAlert?.(alert);
        }
      }),
      client.on("denied", (event) => {
        if (mine(event.callId)) {
          change({ denied: [...new Set([...get().denied, event.callId])] });
          latest.current.onDenied?.(event);
        }
      }),
      client.on("gap", (gap) => {
        if (mine(gap.channel)) {
          change({ gap });
          latest.current.onGap?.(gap);
        }
      }),
      client.on("state", (state) => {
        if (state === "stopped") change({ error: client.error });
        // What failed with an earlier connection is asked for anew.
        else if (state === "ready" && get().error) subscribe();
      }),
      giveBack(async () => {
        const free = count(counts, ids, -1);
        if (free.length > 0) await client.unsubscribe(free);
        // Single calls were not subscribed to beside all calls.
        if (free.includes("*") && counts.size > 0) await client.subscribe([...counts.keys()]);
      }),
    ];
  });
};

/**
 * Subscribes to the alerts of calls while the component is mounted; `*` stands for all calls. The list
 * may be written in place: only other ids subscribe anew.
 */
export function useAlerts(callIds: readonly string[], options: UseAlertsOptions = {}): AlertsView {
  const key = JSON.stringify([...callIds].sort());
  return useSource(useHeld(useClient("alerts"), key, options, watch));
}
