/** Silence after which the server is asked for a sign of life. */
const PING_AFTER = 25_000;
/** Time for the answer. */
const PONG_WITHIN = 10_000;
/** Time for the answer after a wake. */
const PROBE_WITHIN = 2_000;

/** Finds out whether a connection still carries anything, by the wall clock. */
export class Silence {
  private _heard = 0;
  private _frames = 0;
  private _probing = false;

  constructor(
    private readonly _now: () => number,
    private readonly _arm: (ms: number, run: () => void) => void,
    private readonly _ping: () => void,
    private readonly _dead: () => void,
  ) {}

  /** Something has come. */
  _frame(): void {
    this._heard = this._now();
    this._frames++;
  }

  /** Waits for silence, from now on. */
  _listen(): void {
    this._probing = false;
    const now = this._now();
    // A clock that was set back must not hide silence.
    this._heard = Math.min(this._heard, now);
    const silent = now - this._heard;
    if (silent < PING_AFTER) {
      this._arm(PING_AFTER - silent, () => {
        this._listen();
      });
    } // A timer that is so late says that the machine slept.
    else this._ask(silent > PING_AFTER + PONG_WITHIN ? PROBE_WITHIN : PONG_WITHIN);
  }

  private _ask(within: number): void {
    const frames = this._frames;
    this._probing = within === PROBE_WITHIN;
    this._ping();
    this._arm(within, () => {
      if (frames === this._frames) this._dead();
      else this._listen();
    });
  }

  /** The page woke: a connection that was silent for long is probed, once. */
  _wake(): void {
    if (!this._probing && this._now() - this._heard > PING_AFTER) this._ask(PROBE_WITHIN);
  }
}
