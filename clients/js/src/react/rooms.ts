import { useMemo, useSyncExternalStore } from "react";
import { RefusedError, type PortwardError } from "../errors.js";
import type {
  ChannelOptions,
  ConnectionState,
  Gap,
  LeftEvent,
  RequestOptions,
  Room,
  RoomHistory,
  RoomMessage,
  RoomState,
  SendResult,
  TypingEvent,
  Unsubscribe,
} from "../types.js";
import { useClient, type RoomsSource } from "./provider.js";
import {
  append,
  giveBack,
  source,
  useHeld,
  useSource,
  type Change,
  type HookOptions,
  type Latest,
  type Make,
  type Open,
} from "./source.js";

/** Options of {@link useRoom}. Functions may be written in place: the newest one is called. */
export interface UseRoomOptions extends HookOptions {
  readonly onMessage?: (message: RoomMessage) => void;
  readonly onGap?: (gap: Gap) => void;
  readonly onLeft?: (event: LeftEvent) => void;
  readonly onTyping?: (event: TypingEvent) => void;
}

/** What every hook of a room says of it. */
export interface ChannelView {
  /** `joining` from the first render on, unless `enabled` is `false`. */
  readonly state: RoomState;
  /** Why the room is out, or what failed last. */
  readonly error: PortwardError | undefined;
  /** The last gap: messages that cannot be brought any more. */
  readonly gap: Gap | undefined;
}

/** What {@link useRoom} returns. */
export interface RoomView extends ChannelView {
  /** The room, while the component is mounted and `enabled`. */
  readonly room: Room | undefined;
  /** Sends a message; refused with `not_joined` where there is no `room`. The same function for one room. */
  readonly send: (content: string, options?: RequestOptions) => Promise<SendResult>;
}

/** Options of {@link useMessages}. */
export interface UseMessagesOptions extends HookOptions {
  /** How many messages to keep, the newest; 100 unless given. */
  readonly limit?: number;
  /** How many earlier messages to read after joining, at most 100; none unless given. */
  readonly history?: number;
}

/** What {@link useMessages} returns. */
export interface MessagesView extends ChannelView {
  /** Oldest first. The same array until it changes. */
  readonly messages: readonly RoomMessage[];
}

const STOPPED: readonly ConnectionState[] = ["stopped", "closed"];

/** Opens the source of a hook that is in a room, and shows the state of the room. */
function holding<V>(
  rooms: RoomsSource,
  id: string,
  channel: ChannelOptions | undefined,
  begin: (room: Room, change: Change<V>, get: () => V) => readonly Unsubscribe[],
): Open<V> {
  return (change, get) => {
    const room = rooms.room(id, channel);
    /** Whether this hook has a join to give back. After a removal nobody has one. */
    let joined: boolean | undefined;
    const show = (error?: PortwardError): void => {
      change({ state: error ? "out" : room.state, error } as Partial<V> & ChannelView);
    };
    const enter = (): void => {
      // A stopped client takes no join.
      if (STOPPED.includes(rooms.state)) show(rooms.error);
      else {
        if (joined === undefined) {
          joined = true;
          room.join().catch(show);
        }
        if (room.state !== "out") show();
      }
    };
    const closing = [
      ...begin(room, change, get),
      room.on("joined", () => {
        show();
      }),
      room.on("left", ({ code }) => {
        joined = false;
        show(new RefusedError(code, "the room was left"));
      }),
      rooms.on("state", enter),
      giveBack(() => joined && room.leave()),
    ];
    enter();
    return closing;
  };
}

function channelView(enabled: boolean): ChannelView {
  return { state: enabled ? "joining" : "out", error: undefined, gap: undefined };
}

const participate: Make<RoomsSource, UseRoomOptions, RoomView> = (
  rooms,
  id,
  enabled,
  latest,
  channel,
) => {
  let room: Room | undefined;
  return source<RoomView>(
    enabled,
    {
      ...channelView(enabled),
      room,
      send: async (content, options) =>
        room?.send(content, options) ?? { status: "refused", code: "not_joined", temporary: true },
    },
    holding(rooms, id, channel, (joined, change) => {
      room = joined;
      change({ room });
      return [
        room.on("message", (message) => latest.current.onMessage?.(message)),
        room.on("typing", (event) => latest.current.onTyping?.(event)),
        room.on("left", (event) => latest.current.onLeft?.(event)),
        room.on("gap", (gap) => {
          change({ gap });
          latest.current.onGap?.(gap);
        }),
        () => {
          room = undefined;
        },
      ];
    }),
  );
};

/**
 * Joins a room while the component is mounted. Several hooks of one room, in any components, join once;
 * the last one that is unmounted leaves.
 */
export function useRoom(id: string, options: UseRoomOptions = {}): RoomView {
  return useSource(useHeld(useClient("rooms"), id, options, participate));
}

/** Whether a page of the history begins where the gap begins, or before. */
function fills({ from }: Gap, { messages: [first], position }: RoomHistory): boolean {
  return !!first && from?.epoch === position.epoch && first.offset <= from.offset + 1;
}

/** Keeps the newest messages of a room, and reads earlier ones after joining and after a gap. */
function collect(
  room: Room,
  latest: Latest<UseMessagesOptions>,
  change: Change<MessagesView>,
  get: () => MessagesView,
): readonly Unsubscribe[] {
  /** Messages that came since the last reading of the history began. */
  let fresh: readonly RoomMessage[] = [];
  let whole: boolean | undefined;
  let readings = 0;

  const read = async (): Promise<void> => {
    const limit = latest.current.history ?? 0;
    if (limit <= 0) return;
    const reading = ++readings;
    fresh = [];
    whole = false;
    try {
      const page = await room.history({ limit });
      if (reading !== readings) return;
      whole = true;
      const { messages } = page;
      const { gap } = get();
      change({
        messages: append(
          messages.filter(({ id }) => !fresh.some((each) => each.id === id)),
          fresh,
          latest.current.limit,
        ),
        gap: gap && fills(gap, page) ? undefined : gap,
      });
    } catch (error) {
      if (reading === readings) change({ error: error as PortwardError });
    }
  };

  if (room.state === "in") void read();
  return [
    room.on("message", (message) => {
      const { limit } = latest.current;
      fresh = append(fresh, [message], limit);
      change({ messages: append(get().messages, [message], limit) });
    }),
    room.on("gap", (gap) => {
      change({ gap });
    }),
    room.on("joined", ({ recovered }) => {
      if (!whole || !recovered) void read();
    }),
  ];
}

const collecting: Make<RoomsSource, UseMessagesOptions, MessagesView> = (
  rooms,
  id,
  enabled,
  latest,
  channel,
) =>
  source<MessagesView>(
    enabled,
    { ...channelView(enabled), messages: [] },
    holding(rooms, id, channel, (room, change, get) => collect(room, latest, change, get)),
  );

/**
 * Joins a room as {@link useRoom} does, and keeps its newest messages. With `history` it reads earlier
 * ones after joining, and again after a gap.
 */
export function useMessages(id: string, options: UseMessagesOptions = {}): MessagesView {
  return useSource(useHeld(useClient("rooms"), id, options, collecting));
}

type Users = readonly string[];

interface Present {
  readonly users: Users;
}

const present: Make<RoomsSource, HookOptions, Present> = (rooms, id, enabled, _latest, channel) =>
  source<Present>(
    enabled,
    { users: [] },
    holding(rooms, id, channel, ({ presence }, change) => {
      const show = (): void => {
        change({ users: presence.users });
      };
      show();
      return [presence.subscribe(show)];
    }),
  );

/** Whether two choices are the same: lists are compared by their members. */
function same(before: unknown, after: unknown): boolean {
  return Array.isArray(before) && Array.isArray(after)
    ? before.length === after.length && before.every((each, index) => each === after[index])
    : Object.is(before, after);
}

/** Calls a selector once for each list, and gives what it chose before when the choice is the same. */
function choosing<S>(selector: (users: Users) => S): (present: Present) => S {
  let read: Users | undefined;
  let choice: S | undefined;
  return ({ users }) => {
    if (users !== read) {
      const next = selector(users);
      if (!same(choice, next)) choice = next;
      read = users;
    }
    return choice as S;
  };
}

/**
 * Joins a room as {@link useRoom} does, and gives what the selector reads of its users. The component is
 * rendered again only when that is another value; of lists, when another member is in them.
 */
export function usePresence(id: string): Users;
export function usePresence<S>(id: string, selector: (users: Users) => S, options?: HookOptions): S;
export function usePresence<S>(
  id: string,
  selector: (users: Users) => S = (users) => users as S,
  options: HookOptions = {},
): S {
  const held = useHeld(useClient("rooms"), id, options, present);
  const choose = useMemo(() => choosing(selector), [selector]);
  return useSyncExternalStore(
    held._subscribe,
    () => choose(held._get()),
    () => choose(held._initial()),
  );
}
