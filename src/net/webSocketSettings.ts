// What a listener of MQTT over WebSocket is told at start, §6.

/** Stands for every path, and for every origin. */
export const ANY = "*";

export interface WebSocketSettings {
  /** The only path that is upgraded, compared without its query; ANY takes every one. */
  readonly path: string;
  /** Origins whose pages may connect, as browsers write them ("https://example.org:8443"); ANY lets all of them. */
  readonly origins: readonly string[];
  /** Agrees to permessage-deflate when the client offers it. */
  readonly compression: boolean;
}
