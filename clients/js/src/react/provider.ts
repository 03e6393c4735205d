import { createContext, createElement, useContext, type ReactElement, type ReactNode } from "react";
import type {
  AlertEvents,
  ChannelOptions,
  Connected,
  ConnectionEvents,
  Room,
  Topic,
  Unsubscribe,
} from "../types.js";

/** The part of `RoomsClient` that the hooks use. */
export interface RoomsSource extends Connected {
  room(id: string, options?: ChannelOptions): Room;
}

/** The part of `AlertsClient` that the hooks use. */
export interface AlertsSource extends Connected {
  subscribe(callIds: readonly string[]): Promise<unknown>;
  unsubscribe(callIds?: readonly string[]): unknown;
  on<E extends keyof (AlertEvents & ConnectionEvents)>(
    event: E,
    listener: (AlertEvents & ConnectionEvents)[E],
  ): Unsubscribe;
}

/** The part of `LiveClient` that the hooks use. */
export interface LiveSource extends Connected {
  topic(name: string, options?: ChannelOptions): Topic;
}

/** What holds several clients, as `Portward` does. What an application does not use may be left out. */
export interface ClientsSource {
  readonly rooms?: RoomsSource;
  alerts?(): AlertsSource;
  live?(): LiveSource;
}

/** What the provider takes: a `Portward`, one client alone, or an object with some of them. */
export type PortwardSource = ClientsSource | RoomsSource | AlertsSource | LiveSource;

/** Names of the clients. */
export type Endpoint = "rooms" | "alerts" | "live";

interface Clients {
  rooms: RoomsSource;
  alerts: AlertsSource;
  live: LiveSource;
}

/** The method by which a client alone is known. */
const METHODS = { rooms: "room", alerts: "subscribe", live: "topic" } as const;

const Context = createContext<PortwardSource>({});

/** Properties of {@link PortwardProvider}. */
export interface PortwardProviderProps {
  /**
   * A `Portward`, one client alone such as `RoomsClient`, or an object with some of them. It belongs to
   * the application: the provider connects nothing and closes nothing.
   */
  readonly client: PortwardSource;
  readonly children?: ReactNode;
}

/** Gives the hooks below it their client. */
export function PortwardProvider({ client, children }: PortwardProviderProps): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of an endpoint, from the provider above. */
export function useClient<E extends Endpoint>(endpoint: E): Clients[E] {
  const given = useContext(Context) as Record<string, unknown>;
  const member = given[endpoint];
  const client: unknown =
    typeof member === "function"
      ? member.call(given)
      : (member ?? (METHODS[endpoint] in given && given));
  if (!client) throw new Error(`no PortwardProvider with a client for ${endpoint}`);
  return client as Clients[E];
}
