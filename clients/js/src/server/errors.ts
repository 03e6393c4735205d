import { type ErrorDetails, PortwardError } from "../errors.js";

/** Why a call of the admin API failed. No text holds the API key or what was to be published. */
export class PublisherError extends PortwardError {
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The number of the error, where the admin API named one. */
  readonly number: number | undefined;

  constructor(
    code: string,
    message: string,
    details: ErrorDetails = {},
    status?: number,
    number?: number,
  ) {
    super(code, message, details);
    this.status = status;
    this.number = number;
  }
}

const CODES: Readonly<Record<number, string>> = {
  400: "bad_request",
  401: "unauthorized",
  403: "permission_denied",
  404: "not_found",
  405: "bad_request",
  409: "limit_exceeded",
  413: "too_large",
  416: "unrecoverable_position",
  429: "rate_limited",
  500: "internal",
  501: "not_available",
  503: "unavailable",
};
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_TEXT = 300;
const LONGEST_WAIT_S = 86_400;

/** There was no answer. */
export function unanswered(late: boolean): PublisherError {
  const temporary = { temporary: true };
  if (late) return new PublisherError("timeout", "no answer from the admin API in time", temporary);
  return new PublisherError("unreachable", "no connection to the admin API", temporary);
}

/** What an answer without a result says. */
export function refusal(status: number, body: unknown, retryAfter: string | null): PublisherError {
  const error = field(body, "error");
  const temporary = PASSING.has(status);
  if (typeof error !== "object" && !temporary) {
    const text = `this is no admin API: it answered with status ${status}`;
    return new PublisherError("unexpected_answer", text, {}, status);
  }
  const number = field(error, "code");
  const message = field(error, "message");
  const text = typeof message === "string" ? message.slice(0, LONGEST_TEXT) : "it says no more";
  return new PublisherError(
    CODES[status] ?? (temporary ? "unavailable" : "refused"),
    `refused with status ${status}: ${text}`,
    { temporary, retryAfterMs: milliseconds(retryAfter) },
    status,
    typeof number === "number" ? number : undefined,
  );
}

/** The field of an object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** The seconds of `Retry-After`; a date there is not read. */
function milliseconds(value: string | null): number | undefined {
  if (value === null || !/^\d+$/.test(value)) return undefined;
  return Math.min(Number(value), LONGEST_WAIT_S) * 1000;
}
