import { PortwardError, RefusedError } from "../errors.js";
import type { Environment, QueueOptions, RequestOptions } from "../types.js";

/** Requests that may be on their way at once. */
const MOST_WRITTEN = 256;
/** Bytes in the socket's own buffer from which requests wait. */
const MOST_BUFFERED = 65_536;

/** One message in JSON. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what the server says is checked where it is used
export type Frame = Record<string, any>;

/** What a request needs beside its text. */
export interface CallOptions extends RequestOptions {
  /** Whether it may be written now; while it may not, it waits. */
  readonly _gate?: () => boolean;
  /** The room that it belongs to. */
  readonly _owner?: object;
  /** Milliseconds to wait for the answer. */
  readonly _within?: number;
  /** Whether it goes out before the connection is ready, or else not at all. */
  readonly _urgent?: boolean;
}

interface Call {
  readonly _id: string;
  readonly _text: string;
  readonly _options: CallOptions;
  readonly _settle: (error: PortwardError | undefined, frame?: Frame) => void;
  _timer?: () => void;
}

/** The part of a connection that requests need. */
export interface Writer {
  /** Bytes that the socket holds back; `undefined` while nothing may be written. */
  _buffered(urgent: boolean): number | undefined;
  _write(text: string): void;
}

/** What a request meets that was written and never answered. */
export function unknown(): PortwardError {
  return new PortwardError("unknown", "the connection broke before the answer", {
    temporary: true,
  });
}

/** The error that a refusal of the server stands for. */
export function refusal({ code, message, retryAfterMs, retryMs }: Frame): RefusedError {
  const wait: unknown = retryAfterMs ?? retryMs;
  const named = typeof wait === "number" && wait >= 0 ? wait : undefined;
  return new RefusedError(String(code), String(message), {
    temporary: named !== undefined || code === "unavailable" || code === "internal",
    retryAfterMs: named,
  });
}

/** Requests: those that wait to be written, and those that wait for their answer. */
export class Requests {
  private readonly _written = new Map<string, Call>();
  private readonly _queue = new Set<Call>();
  private _bytes = 0;
  private _number = 0;
  private _retry: (() => void) | undefined;

  constructor(
    private readonly _writer: Writer,
    private readonly _env: Environment,
    private readonly _timeoutMs: number,
    private readonly _bounds: QueueOptions = {},
  ) {}

  /** Asks; rejects with what the server or the client refuses it for, or with `unknown`. */
  _ask(encode: (id: string) => object, options: CallOptions = {}): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const id = String(++this._number);
      const call: Call = {
        _id: id,
        _text: JSON.stringify(encode(id)),
        _options: options,
        _settle: (error, frame) => {
          this._remove(call);
          signal?.removeEventListener("abort", abort);
          if (error) reject(error);
          else resolve(frame ?? {});
        },
      };
      const abort = (): void => {
        call._settle(
          this._written.has(id)
            ? unknown()
            : new PortwardError("aborted", "the signal was aborted"),
        );
      };
      if (signal?.aborted) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort);
      this._add(call);
    });
  }

  private _add(call: Call): void {
    const { messages = 256, bytes = 1_048_576 } = this._bounds;
    this._queue.add(call);
    this._bytes += call._text.length;
    this._flush();
    if (!this._queue.has(call)) return;
    if (call._options._urgent) call._settle(unknown());
    else if (this._queue.size > messages || this._bytes > bytes) {
      call._settle(
        new PortwardError("queue_full", "too much waits to be sent", { temporary: true }),
      );
    }
  }

  private _remove(call: Call): void {
    if (this._queue.delete(call)) this._bytes -= call._text.length;
    if (this._written.delete(call._id)) call._timer?.();
  }

  /** Writes what may be written. */
  _flush(): void {
    this._retry?.();
    this._retry = undefined;
    for (const call of this._queue) {
      const buffered = this._writer._buffered(call._options._urgent === true);
      if (buffered === undefined || !this._may(call)) continue;
      if (buffered > MOST_BUFFERED && !call._options._urgent) {
        this._retry = this._env.delay(50, () => {
          this._flush();
        });
        return;
      }
      this._put(call);
    }
  }

  private _may({ _options: { _gate, _urgent } }: Call): boolean {
    return _urgent === true || (this._written.size < MOST_WRITTEN && _gate?.() !== false);
  }

  private _put(call: Call): void {
    this._remove(call);
    this._written.set(call._id, call);
    call._timer = this._env.delay(call._options._within ?? this._timeoutMs, () => {
      call._settle(unknown());
      this._flush();
    });
    this._writer._write(call._text);
  }

  /** An answer has come. Returns whether there was a question. */
  _answer(id: unknown, frame: Frame, error?: PortwardError): boolean {
    const call = this._written.get(id as string);
    call?._settle(error, frame);
    if (this._queue.size) this._flush();
    return call !== undefined;
  }

  /** The connection broke. */
  _broke(): void {
    for (const call of [...this._written.values()]) call._settle(unknown());
    this._retry?.();
    this._retry = undefined;
  }

  /** Refuses those that wait. */
  _refuse(which: (options: CallOptions) => boolean, error: PortwardError): void {
    for (const call of [...this._queue]) if (which(call._options)) call._settle(error);
  }
}
