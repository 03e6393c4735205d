import type { Address } from "../core/connection.js";
import { ProvenConnection } from "../core/proven.js";
import { type CallOptions, type Frame, refusal } from "../core/requests.js";
import { PortwardError, UnauthorizedError } from "../errors.js";
import type {
  Alert,
  AlertEvents,
  ClientOptions,
  ConnectionEvents,
  Position,
  RequestOptions,
} from "../types.js";

/** Ids of alerts that are remembered. */
const MOST_KNOWN = 1000;
/** Stands for all calls. */
const ALL = "*";

interface Call {
  /** Place of the last alert that was given out. */
  _place?: Position | undefined;
  /** Where the call stood when it was subscribed to. */
  _start?: Position | undefined;
  /** Whether the server has accepted it. */
  _heard?: boolean;
}

/** The client of alerts: one connection for all calls, made by the first subscription. */
export class AlertsClient
  extends ProvenConnection<ConnectionEvents & AlertEvents>
  implements AsyncIterable<Alert>
{
  private readonly _calls = new Map<string, Call>();
  private readonly _known = new Set<string>();

  /** `url` is that of the gateway, such as `wss://gateway.example.com`. */
  constructor(url: string, options: ClientOptions = {}) {
    super(url, "/alerts", options);
  }

  /** Ids of the calls that are subscribed to. */
  get callIds(): readonly string[] {
    return [...this._calls.keys()];
  }

  /**
   * Subscribes to calls; `*` stands for all. Returns the ids that the server has accepted of them.
   * Those that it does not accept are told by `denied`.
   */
  async subscribe(
    callIds: readonly string[],
    options: RequestOptions = {},
  ): Promise<readonly string[]> {
    for (const id of callIds) if (!this._calls.has(id)) this._calls.set(id, {});
    return this._subscribe(callIds, options);
  }

  /** Ends the subscription to calls, or to all. */
  async unsubscribe(callIds?: readonly string[]): Promise<void> {
    for (const id of callIds ?? this.callIds) this._calls.delete(id);
    if (this.state !== "ready") return;
    await this._ask("unsubscribe", { callIds }, { _urgent: true }).catch(() => undefined);
  }

  /** The newest alerts of a call, or of all that are subscribed to, oldest first. */
  async history(callId?: string, limit?: number, options: RequestOptions = {}): Promise<Alert[]> {
    const { alerts } = await this._ask("getHistory", { callId, limit }, options);
    return alerts as Alert[];
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Alert> {
    return this._iterate("alert");
  }

  private async _ask(type: string, data: object, options: CallOptions): Promise<Frame> {
    const { payload } = await this._call((id) => ({ type, ...data, id }), options);
    return payload as Frame;
  }

  private async _subscribe(
    callIds: readonly string[],
    options: CallOptions,
  ): Promise<readonly string[]> {
    const since = Object.fromEntries(
      callIds.flatMap((id) => {
        const { _place, _start } = this._calls.get(id) ?? {};
        const place = _place ?? _start;
        return place ? [[id, place]] : [];
      }),
    );
    for (;;) {
      try {
        const { callIds: heard } = await this._ask("subscribe", { callIds, since }, options);
        return this._accepted(callIds, heard as string[]);
      } catch (error) {
        // Asking twice does no harm.
        const { code } = error as PortwardError;
        if (code !== "unknown" || options._urgent) {
          if (!options._urgent) for (const id of callIds) this._drop(id);
          throw error;
        }
      }
    }
  }

  /** Forgets a call that was never accepted. */
  private _drop(id: string): void {
    if (!this._calls.get(id)?._heard) this._calls.delete(id);
  }

  private _accepted(asked: readonly string[], heard: readonly string[]): readonly string[] {
    const accepted = asked.filter((id) => this._calls.has(id) && heard.includes(id));
    for (const id of asked) {
      const call = this._calls.get(id);
      if (call && accepted.includes(id)) call._heard = true;
      else if (call) this._denied(id, "limit_exceeded");
    }
    if (accepted.some((id) => !this._calls.get(id)?._place)) void this._stand();
    return accepted;
  }

  /** Asks where the calls stand, so that a break before the first alert loses nothing. */
  private async _stand(): Promise<void> {
    try {
      const { positions = {} } = await this._ask("getHistory", { limit: 0 }, { _urgent: true });
      for (const [id, place] of Object.entries(positions as Record<string, Position>)) {
        const call = this._calls.get(id);
        if (call) call._start = place;
      }
    } catch {
      // Without it recovery begins with the first alert.
    }
  }

  private _denied(callId: string, code: string): void {
    // All calls hold the single ones.
    if (this._calls.delete(callId) && !this._calls.has(ALL)) this._emit("denied", { callId, code });
  }

  /** @internal */
  async _address(): Promise<Address> {
    const { signal } = this._life;
    const { fetchTicket, WebSocket = this._env.WebSocket } = this._options;
    const token = await this._token();
    const with_ = (name: string, value: string): Address => ({
      _url: `${this._url}?${name}=${encodeURIComponent(value)}`,
    });
    if (token !== undefined && WebSocket?.takesHeaders) {
      return { _url: this._url, _options: { headers: { Authorization: `Bearer ${token}` } } };
    }
    if (fetchTicket) {
      try {
        return with_("ticket", await fetchTicket({ token, signal }));
      } catch (error) {
        if (error instanceof UnauthorizedError) throw error;
        throw new PortwardError("ticket_failed", "fetchTicket failed", { temporary: true });
      }
    }
    return token === undefined ? { _url: this._url } : with_("token", token);
  }

  /** @internal */
  _ping(): Frame {
    return { type: "ping" };
  }

  /** @internal */
  _receive(frame: Frame): void {
    const { type, id } = frame as { type: string; id?: string };
    const payload = (frame["payload"] ?? {}) as Frame;
    switch (type) {
      case "handshake":
        this._ready();
        break;
      case "alert":
        this._alert(payload as unknown as Alert);
        break;
      case "subscribed":
        this._subscribed(payload);
        break;
      case "expiring":
        void this._renew(payload["expiresAt"], (token) =>
          this._ask("refresh", { token }, { _urgent: true }),
        );
        break;
      case "shutdown":
      case "closing":
        this._comeBack(payload["retryMs"]);
        break;
      case "error":
        this._error(id, payload, frame);
        return;
    }
    this._requests._answer(id, frame);
  }

  private _error(id: string | undefined, payload: Frame, frame: Frame): void {
    const { callId, code, retryMs } = payload;
    if (id !== undefined) this._requests._answer(id, frame, refusal(payload));
    else if (typeof callId === "string") this._denied(callId, String(code));
    else this._comeBack(retryMs);
  }

  private _subscribed({ denied = [], recovered = {} }: Frame): void {
    for (const id of denied as string[]) this._denied(id, "permission_denied");
    for (const [channel, complete] of Object.entries(recovered as Record<string, boolean>)) {
      const call = this._calls.get(channel);
      if (!call || complete) continue;
      const from = call._place ?? call._start;
      call._place = call._start = undefined;
      this._emit("gap", { channel, from, to: undefined });
    }
  }

  private _alert(alert: Alert): void {
    const { id, callId, offset, epoch, late } = alert;
    const call = this._calls.get(ALL) ?? this._calls.get(callId);
    if (!call || this._known.has(id)) return;
    // A late one has a place below that of others, which stays.
    if (!late) {
      const { _place } = call;
      if (_place?.epoch === epoch && offset <= _place.offset) return;
      call._place = { offset, epoch };
    }
    this._known.add(id);
    for (const oldest of this._known) {
      if (this._known.size <= MOST_KNOWN) break;
      this._known.delete(oldest);
    }
    this._emit("alert", alert);
  }

  /** @internal */
  _begin(): void {
    const heard = this.callIds.filter((id) => this._calls.get(id)?._heard);
    if (heard.length) {
      this._subscribe(heard, { _urgent: true }).catch((error: unknown) => {
        // The calls are heard again after the next connection; a refusal must not be silent.
        if (this.state === "ready") this._lost(error as PortwardError);
      });
    }
  }

  /** @internal */
  _down(): void {
    // Places stay: they are what recovery begins from.
  }

  /** @internal */
  _over(_error: PortwardError, closed: boolean): void {
    if (closed) this._calls.clear();
  }
}
