import { HandshakeError, type PortwardError, StoppedError, UnauthorizedError } from "../errors.js";
import { invitingCloses } from "../generated.js";
import type { SocketEvent } from "../types.js";

/** Whether a client may come back after a close. */
export function invitesBack(code: number, reason: string): boolean {
  // Deno has the code 0 for a link that broke.
  return (
    !code ||
    (code >= 3000 && code < 5000 && code % 1000 < 500) ||
    invitingCloses.some((close) => close === `${code}` || close === `${code} ${reason}`)
  );
}

/** HTTP statuses of a handshake after which the same may succeed later. */
export function passes(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** The error of what passes. */
export function broken(code: string, text: string, retryAfterMs?: number): HandshakeError {
  return new HandshakeError(code, text, { temporary: true, retryAfterMs });
}

/** What the end of a socket means. `again`: another token may be tried after 401. */
export function ending(event: SocketEvent, again: boolean): PortwardError {
  const { code = 1006, reason = "", status, retryAfterMs } = event;
  if (status === undefined) {
    const text = `closed with code ${code}`;
    if (invitesBack(code, reason)) return broken("closed", text, retryAfterMs);
    return new StoppedError(reason || "closed", text, code);
  }
  const text = `the handshake was answered with status ${status}`;
  if (status === 401 && !again) return new UnauthorizedError(text);
  const temporary = status === 401 || passes(status);
  return new HandshakeError("handshake", text, { temporary, retryAfterMs }, status);
}
