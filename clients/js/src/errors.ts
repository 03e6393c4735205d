/** What an error says beside its text. */
export interface ErrorDetails {
  /** Whether the same may succeed later. */
  readonly temporary?: boolean;
  /** Milliseconds after which to try again, where the server named them. */
  readonly retryAfterMs?: number | undefined;
}

/** The root of all errors of this package. No text holds a token or the content of a message. */
export class PortwardError extends Error {
  /** A word for programs. */
  readonly code: string;
  /** Whether the same may succeed later. */
  readonly temporary: boolean;
  /** Milliseconds after which to try again, where the server named them. */
  declare readonly retryAfterMs?: number;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.temporary = details.temporary ?? false;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
  }
}

/** There is no login any more. Thrown by `getToken` to stop the client, or by the server's refusal. */
export class UnauthorizedError extends PortwardError {
  constructor(message = "not logged in", code = "unauthorized") {
    super(code, message);
  }
}

/** The connection ended for good, or was closed. */
export class StoppedError extends PortwardError {
  /** The close code, where there was one. */
  readonly closeCode: number | undefined;

  constructor(code: string, message: string, closeCode?: number) {
    super(code, message);
    this.closeCode = closeCode;
  }
}

/** A connection could not be made, or broke. */
export class HandshakeError extends PortwardError {
  /** The HTTP status, where it can be seen. Browsers do not show it. */
  readonly status: number | undefined;

  constructor(code: string, message: string, details: ErrorDetails, status?: number) {
    super(code, message, details);
    this.status = status;
  }
}

/** The server refused a request. */
export class RefusedError extends PortwardError {}

/** An iterator was read too slowly: more than 1000 values waited. The iteration has ended. */
export class OverflowError extends PortwardError {
  constructor() {
    super("overflow", "more than 1000 values waited to be read");
  }
}
