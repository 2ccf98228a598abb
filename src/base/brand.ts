// Quantities that must not mix. A brand exists only for the type checker: at run time each is a plain number.

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Identity of one message in the commit log: 0..2^53-1, never reused, ordered by append. */
export type Offset = Brand<number, "Offset">;

/** A Topic Filter that somebody subscribes to: a small integer, reused after its last subscription ends. */
export type FilterId = Brand<number, "FilterId">;

/** The set of filters that a Topic Name matches, interned: two topics with one set have one RouteId. */
export type RouteId = Brand<number, "RouteId">;

/** One Network Connection in this process's life, 1.., never reused. */
export type ConnectionId = Brand<number, "ConnectionId">;

/** §2.2.1: 1..65535. */
export type PacketIdentifier = Brand<number, "PacketIdentifier">;
