// Time as a port, so that the core can be simulated.

export interface Clock {
  /** Milliseconds since an arbitrary start, never going back. */
  nowMs(): number;
  /** Milliseconds since 1970, may jump. Only for what people read. */
  wallMs(): number;
}
