import { type PortwardError, UnauthorizedError } from "../errors.js";
import type { ClientOptions, ConnectionEvents, TokenRequest } from "../types.js";
import { after, jitter, milliseconds } from "./backoff.js";
import { Connection, ignore } from "./connection.js";
import { sleep } from "./environment.js";
import { TokenSource } from "./tokens.js";

const REJECTED = new Set(["authentication_failed", "invalid_token", "token_required"]);

/** A connection that proves by tokens who its user is. */
export abstract class ProvenConnection<E extends ConnectionEvents> extends Connection<E> {
  private _provenAt = 0;
  private _expiry: number | undefined;
  private _renewing: AbortSignal | undefined;

  constructor(url: string, path: string, options: ClientOptions) {
    super(url, path, options);
    this._tokens =
      options._tokens ?? (options.getToken && new TokenSource(options.getToken, this._env));
  }

  /** Returns a token; `undefined` without `getToken`. @internal */
  async _token(reason: TokenRequest["reason"] = "connect"): Promise<string | undefined> {
    return this._tokens?._take(this._rejected ? "rejected" : reason, this._life.signal);
  }

  /**
   * Presents tokens until one is accepted. A token that is refused is followed by one more; a second
   * refusal stops. @internal
   */
  async _prove(
    reason: TokenRequest["reason"],
    present: (token: string) => Promise<unknown>,
    first?: string,
  ): Promise<void> {
    const { signal } = this._life;
    let token = first;
    for (let n = 0; !signal.aborted; n++) {
      try {
        await present(token ?? (await this._token(reason)) ?? "");
        return;
      } catch (error) {
        token = undefined;
        if (REJECTED.has((error as PortwardError).code) && reason !== "rejected")
          reason = "rejected";
        else if (!(await this._passes(error as PortwardError, n))) return;
      }
    }
  }

  /** Waits after a failure that passes; one that does not ends the connection. */
  private async _passes(error: PortwardError, n: number): Promise<boolean> {
    const { code, temporary, retryAfterMs } = error;
    const { signal } = this._life;
    if (signal.aborted) return false;
    if (REJECTED.has(code) || code === "token_revoked") {
      this._stop(new UnauthorizedError("the server refused the token", code));
    } else if (temporary && this.state === "ready") {
      const named = milliseconds(retryAfterMs);
      const random = this._env.random();
      const wait = named === undefined ? jitter(n, random) : after(named, random);
      await sleep(this._env, wait, signal).catch(ignore);
      return true;
    } else this._failed(error);
    return false;
  }

  /** The token in use ends soon: puts newer ones in force until none does. @internal */
  async _renew(expiresAt: unknown, present: (token: string) => Promise<unknown>): Promise<void> {
    const { signal } = this._life;
    this._expiry = Number(expiresAt);
    if (this._renewing === signal || !this._tokens) return;
    this._renewing = signal;
    this._provenAt = Math.max(this._provenAt, this._readyAt);
    while (this._expiry !== undefined && !signal.aborted) {
      const now = this._env.now();
      // Told at once: a token that does not live long. It is used for half of its life.
      if (now - this._provenAt < 1000) {
        const half = Math.min(15_000, Math.max(1000, (this._expiry - now) / 2 || 0));
        await sleep(this._env, half, signal).catch(ignore);
      }
      this._expiry = undefined;
      await this._prove("refresh", present);
      this._provenAt = this._env.now();
    }
    if (this._renewing === signal) this._renewing = undefined;
  }
}
