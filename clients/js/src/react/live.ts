import type { PortwardError } from "../errors.js";
import type { Gap, Publication } from "../types.js";
import { useClient, type LiveSource } from "./provider.js";
import { giveBack, source, useHeld, useSource, type HookOptions, type Make } from "./source.js";

/** Options of {@link useTopic}. Functions may be written in place: the newest one is called. */
export interface UseTopicOptions extends HookOptions {
  readonly onData?: (publication: Publication) => void;
  readonly onGap?: (gap: Gap) => void;
}

/** What {@link useTopic} returns. */
export interface TopicView {
  /** The latest publication of every key. The same map until it changes. */
  readonly snapshot: ReadonlyMap<string, Publication>;
  /** Whether the topic is subscribed on this connection. */
  readonly subscribed: boolean;
  /** Why the topic is not subscribed. */
  readonly error: PortwardError | undefined;
  /** The last gap: publications that cannot be brought any more. */
  readonly gap: Gap | undefined;
}

const EMPTY: TopicView = {
  snapshot: new Map(),
  subscribed: false,
  error: undefined,
  gap: undefined,
};

const follow: Make<LiveSource, UseTopicOptions, TopicView> = (
  live,
  name,
  enabled,
  latest,
  channel,
) =>
  source(enabled, EMPTY, (change) => {
    const topic = live.topic(name, channel);
    const show = (patch?: Partial<TopicView>): void => {
      const { snapshot, subscribed } = topic;
      change({ snapshot, subscribed, ...patch });
    };
    const fail = (error: unknown): void => {
      show({ error: error as PortwardError });
    };
    const works = (): void => {
      show({ error: undefined });
    };
    topic.ready().then(works, fail);
    show();
    return [
      topic.on("data", (publication) => {
        show();
        latest.current.onData?.(publication);
      }),
      topic.on("snapshot", works),
      topic.on("gap", (gap) => {
        show({ gap });
        latest.current.onGap?.(gap);
      }),
      topic.on("forbidden", fail),
      live.on("state", (state) => {
        if (state === "stopped") fail(live.error);
        else show();
      }),
      giveBack(() => {
        topic.close();
      }),
    ];
  });

/**
 * Subscribes to a topic of live while the component is mounted. Several hooks of one topic subscribe
 * once; the last one that is unmounted unsubscribes.
 */
export function useTopic(name: string, options: UseTopicOptions = {}): TopicView {
  return useSource(useHeld(useClient("live"), name, options, follow));
}
