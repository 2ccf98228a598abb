// What a listener of MQTT over WebSocket is told at start, §6.

/** Stands for every path, and for every origin. */
export const ANY = "*";

/** As browsers write it: scheme, host in lower case, port unless it is the scheme's own; or null, for pages without. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)$/;

export function isOrigin(text: string): boolean {
  return text === ANY || ORIGIN.test(text);
}

export interface WebSocketSettings {
  /** The only path that is upgraded, compared without its query; ANY takes every one. */
  readonly path: string;
  /** Origins whose pages may connect, as isOrigin() takes them; ANY lets all of them. */
  readonly origins: readonly string[];
  /** Agrees to permessage-deflate when the client offers it. */
  readonly compression: boolean;
}
