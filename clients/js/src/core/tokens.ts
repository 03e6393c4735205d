import { PortwardError, UnauthorizedError } from "../errors.js";
import type { Environment, GetToken, TokenRequest } from "../types.js";

type Reason = TokenRequest["reason"];

/** Milliseconds that `getToken` may take. */
const WITHIN = 10_000;

interface Flight {
  readonly _rejected: boolean;
  readonly _abort: AbortController;
  readonly _token: Promise<string>;
  _users: number;
}

/** When a token was issued, as it says itself; it is read and not verified. */
export function issuedAt(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(
      atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")),
    );
    const { iat } = claims as { iat?: unknown };
    return typeof iat === "number" ? iat : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an error says that there is no login; the other build of this package has its own class. */
function isUnauthorized(error: unknown): error is Error {
  const { code } = (error ?? {}) as Partial<PortwardError>;
  return error instanceof UnauthorizedError || (error instanceof Error && code === "unauthorized");
}

/** Asks the application for tokens: one question at a time, whoever needs the answer. */
export class TokenSource {
  private _flight: Flight | undefined;
  private _newest = -Infinity;

  constructor(
    private readonly _getToken: GetToken,
    private readonly _env: Environment,
  ) {}

  /** Returns a token that is not older than the newest one given. */
  async _take(reason: Reason, signal: AbortSignal): Promise<string> {
    const rejected = reason === "rejected";
    // An answer that was on its way before the refusal may be the refused token.
    while (rejected && this._flight && !this._flight._rejected) {
      await this._share(this._flight, signal).catch(() => undefined);
      signal.throwIfAborted();
    }
    return this._share((this._flight ??= this._ask(reason)), signal);
  }

  private _share(flight: Flight, signal: AbortSignal): Promise<string> {
    flight._users++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        if (!--flight._users) flight._abort.abort();
        reject(signal.reason as Error);
      };
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener("abort", leave, { once: true });
      flight._token.then(resolve, reject).finally(() => {
        signal.removeEventListener("abort", leave);
      });
    });
  }

  private _ask(reason: Reason): Flight {
    const abort = new AbortController();
    const { signal } = abort;
    const token = new Promise<string>((resolve, reject) => {
      const fail = (code: string, text: string): void => {
        reject(new PortwardError(code, text, { temporary: true }));
      };
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", given);
        if (this._flight?._abort === abort) this._flight = undefined;
      };
      const given = (): void => {
        end();
        fail("aborted", "nobody needs the token any more");
      };
      const cancel = this._env.delay(WITHIN, () => {
        fail("token_timeout", "getToken took too long");
        abort.abort();
      });
      signal.addEventListener("abort", given);
      Promise.resolve()
        .then(() => this._getToken({ reason, signal }))
        .then((answer) => {
          if (typeof answer !== "string" || !answer) throw new TypeError();
          const issued = issuedAt(answer) ?? this._newest;
          if (signal.aborted) return;
          if (issued < this._newest) {
            fail("token_older", "getToken returned a token older than the newest one");
          } else {
            this._newest = issued;
            resolve(answer);
          }
        })
        .catch((error: unknown) => {
          if (isUnauthorized(error)) reject(error);
          else fail("token_failed", "getToken failed");
        })
        .finally(end);
    });
    token.catch(() => undefined);
    return { _rejected: reason === "rejected", _abort: abort, _token: token, _users: 0 };
  }
}
