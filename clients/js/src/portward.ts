import { AlertsClient } from "./alerts/client.js";
import { environment } from "./core/environment.js";
import { TokenSource } from "./core/tokens.js";
import type { PortwardError } from "./errors.js";
import { LiveClient, type LiveOptions } from "./live/client.js";
import { RelayClient } from "./relay/client.js";
import { RoomsClient } from "./rooms/client.js";
import type {
  ChannelOptions,
  ClientOptions,
  Connected,
  ConnectionState,
  Room,
  Unsubscribe,
} from "./types.js";

type Client = RoomsClient | AlertsClient | LiveClient | RelayClient;

/** Endpoints of a gateway. */
export type Endpoint = "rooms" | "alerts" | "live" | "relay";

/** Events of all connections together. */
export interface PortwardEvents {
  /** A connection has another state. */
  state: (state: ConnectionState, endpoint: Endpoint) => void;
  /** A connection ended for good. */
  stopped: (error: PortwardError, endpoint: Endpoint) => void;
}

/** A client as the emitter of what all clients emit. */
function common(client: Client): Pick<Connected, "on"> {
  return client;
}

/** All endpoints of a gateway: a connection for each one that is used, and one source of tokens. */
export class Portward {
  private readonly _options: ClientOptions;
  private readonly _clients = new Map<Client, Endpoint>();
  private readonly _attach = new Set<(client: Client, endpoint: Endpoint) => void>();
  private _rooms: RoomsClient | undefined;
  private _alerts: AlertsClient | undefined;
  private _live: LiveClient | undefined;

  /** `url` is that of the gateway, such as `wss://gateway.example.com`. */
  constructor(
    private readonly _url: string,
    options: ClientOptions = {},
  ) {
    const { getToken } = options;
    this._options = getToken
      ? { ...options, _tokens: new TokenSource(getToken, environment(options.environment)) }
      : options;
  }

  /** The client of rooms. */
  get rooms(): RoomsClient {
    return (this._rooms ??= this._add(new RoomsClient(this._url, this._options), "rooms"));
  }

  /** A room. */
  room(id: string, options?: ChannelOptions): Room {
    return this.rooms.room(id, options);
  }

  /** The client of alerts; the options count the first time. */
  alerts(options?: ClientOptions): AlertsClient {
    const all = { ...this._options, ...options };
    return (this._alerts ??= this._add(new AlertsClient(this._url, all), "alerts"));
  }

  /** The client of live topics; the options count the first time. */
  live(options?: LiveOptions): LiveClient {
    const all = { ...this._options, ...options };
    return (this._live ??= this._add(new LiveClient(this._url, all), "live"));
  }

  /** A new conversation with the upstream behind the relay. */
  relay(options?: ClientOptions): RelayClient {
    return this._add(new RelayClient(this._url, { ...this._options, ...options }), "relay");
  }

  /** Listens to all connections, also to those that are made later. */
  on<K extends keyof PortwardEvents>(event: K, listener: PortwardEvents[K]): Unsubscribe {
    const offs = new Set<Unsubscribe>();
    const attach = (client: Client, endpoint: Endpoint): void => {
      offs.add(
        common(client).on(event, (value: unknown) => {
          (listener as (value: unknown, endpoint: Endpoint) => void)(value, endpoint);
        }),
      );
    };
    for (const [client, endpoint] of this._clients) attach(client, endpoint);
    this._attach.add(attach);
    return () => {
      this._attach.delete(attach);
      for (const off of offs) off();
    };
  }

  /** Closes all connections for good. */
  async close(): Promise<void> {
    await Promise.all([...this._clients.keys()].map((client) => client.close()));
  }

  private _add<C extends Client>(client: C, endpoint: Endpoint): C {
    this._clients.set(client, endpoint);
    for (const attach of this._attach) attach(client, endpoint);
    common(client).on("state", (state) => {
      // Conversations come and go.
      if (state === "closed" && endpoint === "relay") this._clients.delete(client);
    });
    return client;
  }
}
