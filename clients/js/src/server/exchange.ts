import { field, PublisherError, refusal, unanswered } from "./errors.js";
import type { MethodName, Methods } from "./generated.js";
import { Attempts, type PublisherEnvironment, type Retries, sleep } from "./retries.js";

/** How a publisher calls. */
export interface PublisherOptions {
  /** Milliseconds in which an attempt is answered; 5000 by default. */
  readonly timeoutMs?: number;
  readonly retries?: Retries;
  /** For tests. */
  readonly environment?: Partial<PublisherEnvironment>;
}

/** What a single call may be given. */
export interface CallOptions {
  /** Gives the call up; it may have been carried out. */
  readonly signal?: AbortSignal | undefined;
}

const PUBLISHING: ReadonlySet<string> = new Set(["publish", "broadcast", "alert", "analysis"]);

/** The address of an admin listener, without a slash at its end. The error does not repeat it. */
function address(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const http = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  if (!http || /[@?#]/.test(url)) {
    throw new TypeError("the address of an admin listener is like http://127.0.0.1:8081");
  }
  return url.replace(/\/+$/, "");
}

function authorization(apiKey: string): string {
  if (!/^[\x21-\x7e]+( +[\x21-\x7e]+)*$/.test(apiKey)) {
    throw new TypeError("an API key is made of printable ASCII characters");
  }
  return `apikey ${apiKey}`;
}

/** A body in JSON; NaN and infinities are refused, which JSON does not have. */
function encode(body: unknown): string {
  return JSON.stringify(body, (_, value: unknown) => {
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new TypeError("NaN and infinities are no JSON");
    }
    return value;
  });
}

/** A request with an idempotency key of its own where it publishes, so that it can be repeated. */
function repeatable(method: string, request: object): object {
  if (PUBLISHING.has(method)) return { idempotency_key: crypto.randomUUID(), ...request };
  const commands = method === "batch" ? field(request, "commands") : undefined;
  if (!Array.isArray(commands)) return request;
  return { ...request, commands: commands.map(keyed) };
}

function keyed(command: unknown): unknown {
  const entries = Object.entries(command as Record<string, object>);
  return Object.fromEntries(
    entries.map(([method, body]) => [method, method === "batch" ? body : repeatable(method, body)]),
  );
}

/** Sends calls, repeats what failed for the moment, and reads answers. */
export class Exchange {
  readonly #url: string;
  readonly #authorization: string;
  readonly #timeoutMs: number;
  readonly #retries: Retries;
  readonly #environment: PublisherEnvironment;

  constructor(url: string, apiKey: string, options: PublisherOptions) {
    this.#url = address(url);
    this.#authorization = authorization(apiKey);
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#retries = options.retries ?? {};
    this.#environment = {
      fetch: globalThis.fetch,
      random: Math.random,
      now: () => performance.now(),
      sleep,
      ...options.environment,
    };
  }

  async call<M extends MethodName>(
    method: M,
    request: Methods[M]["request"],
    options: CallOptions = {},
  ): Promise<Methods[M]["result"]> {
    const body = encode(repeatable(method, request));
    const attempts = new Attempts(this.#retries, this.#environment);
    for (;;) {
      options.signal?.throwIfAborted();
      let wait: number;
      try {
        return (await this.#once(method, body, options.signal)) as Methods[M]["result"];
      } catch (error) {
        if (!(error instanceof PublisherError)) throw error;
        wait = attempts.wait(error);
      }
      await this.#environment.sleep(wait, options.signal);
    }
  }

  async #once(method: string, body: string, signal: AbortSignal | undefined): Promise<unknown> {
    const late = AbortSignal.timeout(this.#timeoutMs);
    let answer: Response;
    let text: string;
    try {
      answer = await this.#environment.fetch(`${this.#url}/api/${method}`, {
        method: "POST",
        body,
        redirect: "manual",
        headers: { Authorization: this.#authorization, "Content-Type": "application/json" },
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      });
      text = await answer.text();
    } catch {
      signal?.throwIfAborted();
      throw unanswered(late.aborted);
    }
    const read = parse(text);
    const result = answer.ok ? field(read, "result") : undefined;
    if (typeof result === "object" && result !== null) return result;
    throw refusal(answer.status, read, answer.headers.get("Retry-After"));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
