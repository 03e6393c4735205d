import { Emitter } from "../core/emitter.js";
import type { Presence, Unsubscribe } from "../types.js";

/** Users of a room, kept up to date by what the server says. */
export class Users
  extends Emitter<{ change: (users: readonly string[]) => void }>
  implements Presence
{
  users: readonly string[] = [];

  constructor(private readonly _room: { _hold(): void }) {
    super();
  }

  has(user: string): boolean {
    return this.users.includes(user);
  }

  subscribe(listener: () => void): Unsubscribe {
    this._room._hold();
    return this.on("change", listener);
  }

  /** @internal */
  _set(users: readonly string[]): void {
    const same = users.length === this.users.length && users.every((user) => this.has(user));
    if (same) return;
    this.users = users;
    this._emit("change", users);
  }

  /** @internal */
  _add(user: string): void {
    if (!this.has(user)) this._set([...this.users, user]);
  }

  /** @internal */
  _remove(user: string): void {
    this._set(this.users.filter((each) => each !== user));
  }
}
