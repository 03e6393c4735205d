import { Exchange, type CallOptions, type PublisherOptions } from "./exchange.js";
import type {
  AlertRequest,
  AnalysisRequest,
  ApprovalAskRequest,
  ApprovalRequestResult,
  ApprovalResult,
  BroadcastRequest,
  ClientResult,
  ConnectionsRequest,
  ConnectionsResult,
  HistoryRequest,
  HistoryResult,
  MethodName,
  Methods,
  NodeResult,
  PositionResult,
  PresenceStatsResult,
  PublishOutcome,
  PublishRequest,
  RevokeRequest,
  Room,
  RoomsListRequest,
  RoomsResult,
  RoomsSetRequest,
  SecurityEventsRequest,
  TicketResult,
} from "./generated.js";

type More<T, K extends keyof T> = Omit<T, K> & CallOptions;

/**
 * The admin API of a gateway, for backends. Never use it in a page: it would show the key to everybody.
 *
 * What failed for the moment is repeated; what publishes carries an idempotency key, so that repetitions
 * publish once. Every method may reject with a `PublisherError`. The key is in no property, text or log.
 */
export class Publisher {
  readonly #exchange: Exchange;

  /** `url` is the address of the admin listener, as `http://127.0.0.1:8081`. */
  constructor(url: string, apiKey: string, options: PublisherOptions = {}) {
    this.#exchange = new Exchange(url, apiKey, options);
  }

  /** Any method of the admin API by its name. */
  call<M extends MethodName>(
    method: M,
    request: Methods[M]["request"],
    options?: CallOptions,
  ): Promise<Methods[M]["result"]> {
    return this.#exchange.call(method, request, options);
  }

  /** Publish any JSON value to a channel. */
  publish(
    channel: string,
    data: unknown,
    more: More<PublishRequest, "channel" | "data"> = {},
  ): Promise<PositionResult> {
    const { signal, ...fields } = more;
    return this.call("publish", { ...fields, channel, data }, { signal });
  }

  /** Publish the same to several channels: one outcome for each, in their order. */
  async broadcast(
    channels: readonly string[],
    data: unknown,
    more: More<BroadcastRequest, "channels" | "data"> = {},
  ): Promise<PublishOutcome[]> {
    const { signal, ...fields } = more;
    const request = { ...fields, channels: [...channels], data };
    return (await this.call("broadcast", request, { signal })).responses;
  }

  /** Publish an alert about a call; resolves to its id. */
  async alert(request: AlertRequest, options?: CallOptions): Promise<string> {
    return (await this.call("alert", request, options)).id;
  }

  /** Publish the alerts of a call-analysis report; resolves to their ids. */
  async analysis(request: AnalysisRequest, options?: CallOptions): Promise<string[]> {
    return (await this.call("analysis", request, options)).ids;
  }

  /** Ask the members of a workspace for a decision. Without an `id` one is made. */
  requestApproval(
    request: ApprovalAskRequest,
    options?: CallOptions,
  ): Promise<ApprovalRequestResult> {
    return this.call("approval_request", { id: crypto.randomUUID(), ...request }, options);
  }

  /** Read a request for approval and its verdict. */
  approval(id: string, options?: CallOptions): Promise<ApprovalResult> {
    return this.call("approval_get", { id }, options);
  }

  /** Read a channel back, oldest first; with the limit 0 its position alone. */
  history(channel: string, more: More<HistoryRequest, "channel"> = {}): Promise<HistoryResult> {
    const { signal, ...fields } = more;
    return this.call("history", { ...fields, channel }, { signal });
  }

  /** The connections in a channel, by their ids. */
  async presence(channel: string, options?: CallOptions): Promise<Record<string, ClientResult>> {
    return (await this.call("presence", { channel }, options)).presence;
  }

  /** The numbers of connections and users in a channel. */
  presenceStats(channel: string, options?: CallOptions): Promise<PresenceStatsResult> {
    return this.call("presence_stats", { channel }, options);
  }

  /** Channels that have subscribers, with their numbers of connections. */
  async channels(pattern = "", options?: CallOptions): Promise<Record<string, number>> {
    const { channels } = await this.call("channels", { pattern }, options);
    return Object.fromEntries(
      Object.entries(channels).map(([name, { num_clients }]) => [name, num_clients]),
    );
  }

  /** The nodes of the gateway. */
  async info(options?: CallOptions): Promise<NodeResult[]> {
    return (await this.call("info", {}, options)).nodes;
  }

  /** Open connections, oldest first. */
  connections(request: ConnectionsRequest = {}, options?: CallOptions): Promise<ConnectionsResult> {
    return this.call("connections", request, options);
  }

  /** Audited events, oldest first. */
  async securityEvents(
    request: SecurityEventsRequest = {},
    options?: CallOptions,
  ): Promise<Methods["security_events"]["result"]["events"]> {
    return (await this.call("security_events", request, options)).events;
  }

  /** End the connections of a user, or one of them. */
  async disconnect(user: string, more: { client?: string } & CallOptions = {}): Promise<void> {
    const { signal, ...fields } = more;
    await this.call("disconnect", { ...fields, user }, { signal });
  }

  /** Take a user out of a channel. */
  async unsubscribe(user: string, channel: string, options?: CallOptions): Promise<void> {
    await this.call("unsubscribe", { user, channel }, options);
  }

  /** Take back one of `user`, `jti`, `session`, `token`; resolves to how many connections ended. */
  async revoke(request: RevokeRequest, options?: CallOptions): Promise<number> {
    return (await this.call("revoke", request, options)).ended;
  }

  /** Exchange the token of a user for a ticket, which opens one connection as `?ticket=`. */
  ticket(token: string, options?: CallOptions): Promise<TicketResult> {
    return this.call("ticket", { token }, options);
  }

  /** The roles that the directory has for a user. */
  async roles(user: string, options?: CallOptions): Promise<string[]> {
    return (await this.call("roles_get", { user }, options)).roles;
  }

  /** Replace the roles of a user; open connections are judged again at once. */
  async setRoles(user: string, roles: readonly string[], options?: CallOptions): Promise<void> {
    await this.call("roles_set", { user, roles: [...roles] }, options);
  }

  /** The permissions that the directory has for a user. */
  async permissions(user: string, options?: CallOptions): Promise<string[]> {
    return (await this.call("permissions_get", { user }, options)).permissions;
  }

  /** Replace the permissions of a user. */
  async setPermissions(
    user: string,
    permissions: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    await this.call("permissions_set", { user, permissions: [...permissions] }, options);
  }

  /** Replace the workspaces of a user; with null the workspace of the token counts again. */
  async setWorkspaces(
    user: string,
    workspaces: readonly string[] | null,
    options?: CallOptions,
  ): Promise<void> {
    const given = workspaces === null ? null : [...workspaces];
    await this.call("membership_set", { user, workspaces: given }, options);
  }

  /** Make or replace the record of a room; what is left out gets its default. */
  setRoom(id: string, more: More<RoomsSetRequest, "id"> = {}): Promise<Room> {
    const { signal, ...fields } = more;
    return this.call("rooms_set", { ...fields, id }, { signal });
  }

  /** Read the record of a room. */
  room(id: string, options?: CallOptions): Promise<Room> {
    return this.call("rooms_get", { id }, options);
  }

  /** The rooms; with `orphans` the channels where messages are kept without a record. */
  rooms(request: RoomsListRequest = {}, options?: CallOptions): Promise<RoomsResult> {
    return this.call("rooms_list", request, options);
  }

  /** Delete a room with its messages; false when there was none, also after a repetition. */
  async removeRoom(id: string, options?: CallOptions): Promise<boolean> {
    return (await this.call("rooms_remove", { id }, options)).removed;
  }

  /** Several calls in order, each `{ method: request }`. */
  async batch(commands: Record<string, object>[], options?: CallOptions): Promise<unknown[]> {
    return (await this.call("batch", { commands }, options)).replies;
  }
}
