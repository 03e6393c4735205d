import type { ChannelOptions } from "../types.js";
import type { Channel } from "./channel.js";

/** Known channels that are looked at whenever another one is made. */
const LOOKED_AT = 4;

/**
 * The channels of a client by their ids. The same id is the same channel while it is in use, or while the
 * application holds it; the others are forgotten, a few whenever another one is made.
 */
export class Channels<C extends Pick<Channel<object>, "_idle" | "_offer">> {
  /** Those in use, and those that were in use when they were last looked at. */
  readonly _used = new Set<C>();
  private readonly _known = new Map<string, WeakRef<C>>();
  private _next = this._known.keys();

  constructor(private readonly _make: (id: string) => C) {}

  /** The channel of this id, if there is one. */
  _get(id: string): C | undefined {
    return this._known.get(id)?.deref();
  }

  /** The channel of this id, made where there is none. */
  _take(id: string, options: ChannelOptions = {}): C {
    let channel = this._get(id);
    if (!channel) {
      for (let n = LOOKED_AT; n--;) this._look();
      this._known.set(id, new WeakRef((channel = this._make(id))));
    }
    channel._offer(options);
    return channel;
  }

  /** Looks at one channel, each in its turn. */
  private _look(): void {
    const { done, value } = this._next.next();
    if (done) this._next = this._known.keys();
    else {
      const channel = this._get(value);
      if (!channel) this._known.delete(value);
      else if (channel._idle) this._used.delete(channel);
    }
  }
}
