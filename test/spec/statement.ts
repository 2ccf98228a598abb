// Statement: one normative statement of a specification and what this broker says about it. A statement without a
// reason is to be shown by a test whose title carries it, for example `v5 [MQTT-3.1.2-4]: …`.

export type Binds = "server" | "client" | "both";

export interface Statement {
  /** As printed in the specification, without the square brackets. */
  readonly id: string;
  /** At most twelve words. */
  readonly gist: string;
  readonly binds: Binds;
  /** "met" wants a test; "pending" is a known gap of a growing broker; "not-applicable" wants a reason. */
  readonly status: "met" | "pending" | "not-applicable";
  readonly reason?: string;
}

/** Number, whom it binds, gist, and for what is not applicable the reason. */
export type Row = readonly [number: string, binds: Binds, gist: string, reason?: string];

/** In place of a reason: to be met, but not shown by any test yet. */
export const PENDING = "pending";
/** A rule for clients whose breach no server can see, or whose breach it may let pass. */
export const CLIENT_ONLY = "binds clients; a server cannot observe or need not police it";
export const NO_REASON_TEXT = "the broker sends no Reason String in this packet";
export const NO_USER_PROPERTY = "the broker sends no User Property of its own";

export function statements(rows: readonly Row[]): readonly Statement[] {
  return rows.map(([number, binds, gist, reason]) => {
    const id = `MQTT-${number}`;
    if (reason === undefined) return { id, gist, binds, status: "met" };
    if (reason === PENDING) return { id, gist, binds, status: "pending" };
    return { id, gist, binds, status: "not-applicable", reason };
  });
}
