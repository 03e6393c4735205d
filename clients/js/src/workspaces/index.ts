import type { Socket } from "socket.io-client";
import { after, jitter } from "../core/backoff.js";
import { guarded } from "../core/emitter.js";
import { environment, sleep } from "../core/environment.js";
import { TokenSource } from "../core/tokens.js";
import type { PortwardError } from "../errors.js";
import { RefusedError, StoppedError, UnauthorizedError } from "../errors.js";
import type { Environment } from "../types.js";
import type { WorkspaceOptions, WorkspaceSocket } from "./types.js";

export type * from "./types.js";
export * from "../errors.js";

/** Codes after which the same may succeed later. */
const PASSING = new Set([
  "EXPIRED",
  "SLOW",
  "RATE_LIMITED",
  "INTERNAL",
  "INTERNAL_ERROR",
  "NO_PONG",
  "UNAVAILABLE",
]);
/** Codes that refuse a token. */
const TOKEN = new Set(["INVALID_TOKEN", "AUTH_REQUIRED"]);

/** A connection that lasted so long begins the back-off anew. */
const STEADY = 5_000;

type Data = Record<string, unknown>;

/** The typed error of a code that the server has sent, as event, acknowledgement or refusal. */
export function workspaceError(data: {
  code?: unknown;
  error?: unknown;
  retryMs?: unknown;
}): RefusedError {
  const word = data.code ?? data.error;
  const code = typeof word === "string" ? word : "unknown";
  const wait = typeof data.retryMs === "number" ? data.retryMs : undefined;
  return new RefusedError(code, `refused with ${code}`, {
    temporary: PASSING.has(code),
    retryAfterMs: wait,
  });
}

/**
 * Opens a workspace: a socket of `socket.io-client` that takes its token from `getToken`, puts a newer
 * one in place before the first runs out, and stays away after a code that says so.
 */
export function workspace(url: string, options: WorkspaceOptions): WorkspaceSocket {
  const socket = options.io(url, {
    ...options.options,
    autoConnect: false,
    auth: (give: (data: object) => void) => {
      void keeper.token(give);
    },
  });
  const keeper = new Keeper(socket, options);
  socket.connect();
  return socket;
}

/** Keeps the token of a socket fresh, and judges how it ends. */
class Keeper {
  private readonly env: Environment;
  private readonly tokens: TokenSource;
  private life = new AbortController();
  private refused: string | undefined;
  private rejected = false;
  private attempt = 0;
  private provenAt = Infinity;

  constructor(
    private readonly socket: Socket,
    private readonly options: WorkspaceOptions,
  ) {
    this.env = environment(options.environment);
    this.tokens = new TokenSource(options.getToken, this.env);
    socket.on("connect", () => {
      this.provenAt = this.env.now();
    });
    socket.on("error", (data: Data) => {
      this.error(data);
    });
    socket.on("connect_error", (error: Error & { data?: Data }) => {
      // Without data the network failed, and the socket tries again by itself.
      if (error.data) this.ended(workspaceError(error.data));
    });
    socket.on("disconnect", (reason: string) => {
      this.disconnected(reason);
    });
    socket.on("token_expiring", ({ expiresAt }: { expiresAt: number }) => {
      void this.renew(expiresAt);
    });
    socket.on("shutdown", ({ retryMs }: { retryMs: number }) => {
      this.spread(retryMs);
    });
  }

  /** Gives a token to a connection that is being made; asks until there is one. */
  async token(give: (data: object) => void): Promise<void> {
    const { signal } = this.life;
    for (let n = 0; ; n++) {
      try {
        const token = await this.tokens._take(this.rejected ? "rejected" : "connect", signal);
        give({ token });
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error as PortwardError).temporary) {
          this.stop(error as PortwardError);
          return;
        }
        await sleep(this.env, jitter(n, this.env.random()), signal).catch(() => undefined);
      }
    }
  }

  private error(data: Data): void {
    const error = workspaceError(data);
    this.refused = error.code;
    const { onRefused } = this.options;
    // What ends the connection is told by the disconnection that follows.
    if (PASSING.has(error.code) && onRefused) guarded(onRefused, error);
  }

  private disconnected(reason: string): void {
    const code = this.refused;
    this.refused = undefined;
    this.life.abort();
    this.life = new AbortController();
    if (this.env.now() - this.provenAt >= STEADY) {
      this.rejected = false;
      this.attempt = 0;
    }
    this.provenAt = Infinity;
    if (reason !== "io server disconnect") return;
    this.ended(
      code === undefined
        ? new StoppedError("closed", "the server disconnected")
        : workspaceError({ code }),
    );
  }

  /** The server has ended or refused the connection: once more with another token, later, or never. */
  private ended(error: PortwardError): void {
    const again = TOKEN.has(error.code) && !this.rejected;
    this.rejected ||= again;
    if (again || error.temporary) void this.later(error.retryAfterMs);
    else if (TOKEN.has(error.code)) {
      this.stop(new UnauthorizedError("the server refused the token", error.code));
    } else this.stop(new StoppedError(error.code, error.message));
  }

  private async later(retryAfterMs: number | undefined): Promise<void> {
    const random = this.env.random();
    const wait =
      retryAfterMs === undefined ? jitter(this.attempt++, random) : after(retryAfterMs, random);
    const { signal } = this.life;
    await sleep(this.env, wait, signal).then(
      () => this.socket.connect(),
      () => undefined,
    );
  }

  private stop(error: PortwardError): void {
    this.rejected = false;
    this.attempt = 0;
    this.life.abort();
    this.life = new AbortController();
    this.socket.disconnect();
    if (this.options.onStopped) guarded(this.options.onStopped, error);
  }

  /** The process leaves: its clients come back after the time it named, spread at random. */
  private spread(retryMs: number): void {
    const manager = this.socket.io;
    const before = [
      manager.reconnectionDelay(),
      manager.reconnectionDelayMax(),
      manager.randomizationFactor(),
    ] as const;
    // The manager spreads by half of the delay, both ways.
    manager
      .reconnectionDelay(retryMs * 2)
      .reconnectionDelayMax(retryMs * 4)
      .randomizationFactor(0.5);
    this.socket.once("connect", () => {
      manager
        .reconnectionDelay(before[0])
        .reconnectionDelayMax(before[1])
        .randomizationFactor(before[2]);
    });
  }

  private async renew(expiresAt: number): Promise<void> {
    const { life } = this;
    const { signal } = life;
    const now = this.env.now();
    // Told at once: a token that does not live long. It is used for half of its life.
    const half = now - this.provenAt < 1000 ? Math.max(1000, (expiresAt - now) / 2 || 0) : 0;
    if (half) await sleep(this.env, Math.min(15_000, half), signal).catch(() => undefined);
    for (let n = 0; life === this.life; n++) {
      try {
        const token = await this.tokens._take("refresh", signal);
        const answer = (await this.socket
          .timeout(10_000)
          .emitWithAck("token_refresh", { token })) as Data;
        if (answer["error"] === undefined) {
          this.provenAt = this.env.now();
          this.rejected = false;
          return;
        }
        throw workspaceError(answer);
      } catch (error) {
        if (life !== this.life) return;
        if (error instanceof UnauthorizedError) {
          this.stop(error);
          return;
        }
        await sleep(this.env, jitter(n, this.env.random()), signal).catch(() => undefined);
      }
    }
  }
}
