// ConnectError: why no connection to a broker came about.

/** `code` is the system's or TLS's name for it, "" without one. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
