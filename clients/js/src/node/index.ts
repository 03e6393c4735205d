import type { IncomingMessage } from "node:http";
import { WebSocket as Ws } from "ws";
import type { SocketEvent, SocketLike, SocketOptions } from "../types.js";

type Handler = ((event: never) => void) | null;

/** The largest message that is taken: those of an upstream have up to 16 MiB. */
const LARGEST = 32 * 1024 * 1024;

/** Milliseconds that a `Retry-After` stands for: seconds, or a date. */
export function retryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  // Dates begin with the day of the week; other texts would be read as dates of all kinds.
  const ms = /^[A-Z][a-z]{2,}, /.test(value) ? Date.parse(value) - now : NaN;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/**
 * The WebSocket of the package `ws`, for the option `WebSocket` of clients in Node. It sets headers,
 * and shows the status and the `Retry-After` of a handshake that was refused.
 */
export class NodeWebSocket implements SocketLike {
  static readonly takesHeaders = true;

  onopen: Handler = null;
  onmessage: Handler = null;
  onclose: Handler = null;
  onerror: Handler = null;
  private readonly _ws: Ws;

  constructor(url: string, protocols: string | string[] = [], options: SocketOptions = {}) {
    const ws = (this._ws = new Ws(url, protocols, {
      ...(options.headers && { headers: { ...options.headers } }),
      maxPayload: LARGEST,
      perMessageDeflate: false,
    }));
    let refused: SocketEvent = {};
    ws.on("unexpected-response", (_request, response: IncomingMessage) => {
      const wait = retryAfter(response.headers["retry-after"], Date.now());
      refused = {
        ...(response.statusCode !== undefined && { status: response.statusCode }),
        ...(wait !== undefined && { retryAfterMs: wait }),
      };
      ws.terminate();
    });
    ws.on("open", () => this.onopen?.({} as never));
    ws.on("message", (data: ArrayBuffer | Buffer, binary: boolean) => {
      // ws gives texts as bytes.
      const event: SocketEvent = { data: binary ? data : Buffer.from(data as Buffer).toString() };
      this.onmessage?.(event as never);
    });
    ws.on("error", () => this.onerror?.({} as never));
    ws.on("close", (code, reason) => {
      const event: SocketEvent = { code, reason: reason.toString(), ...refused };
      this.onclose?.(event as never);
    });
  }

  get readyState(): number {
    return this._ws.readyState;
  }

  get bufferedAmount(): number {
    return this._ws.bufferedAmount;
  }

  get binaryType(): string {
    return this._ws.binaryType;
  }

  set binaryType(type: string) {
    this._ws.binaryType = type as "arraybuffer";
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this._ws.send(data);
  }

  close(code?: number, reason?: string): void {
    this._ws.close(code, reason);
  }

  terminate(): void {
    this._ws.terminate();
  }
}

export { NodeWebSocket as WebSocket };
