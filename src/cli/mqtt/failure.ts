// Failures of a client of the command line, as sentences that say what to do.

import { ReasonCode, reasonCodeName } from "../../packet/reasonCode.ts";
import { CommandError } from "../end.ts";
import { type Target, targetText } from "./target.ts";
import type { ConnectError } from "./connectError.ts";

/** As mosquitto's clients have it. */
export const EXIT_LOST = 7;
export const EXIT_TIMED_OUT = 27;

/** The connection ended though nobody asked for it. */
export class LostError extends Error {
  override readonly name = "LostError";
  /** What the broker's DISCONNECT said; undefined without one. */
  readonly reason: number | undefined;

  constructor(message: string, reason?: number) {
    super(message);
    this.reason = reason;
  }

  /** Whether a new connection may go better. */
  get mayPass(): boolean {
    return this.reason === undefined || PASSING.has(this.reason);
  }
}

const PASSING: ReadonlySet<number> = new Set([
  ReasonCode.NormalDisconnection,
  ReasonCode.UnspecifiedError,
  ReasonCode.ServerUnavailable,
  ReasonCode.ServerBusy,
  ReasonCode.ServerShuttingDown,
  ReasonCode.KeepAliveTimeout,
  ReasonCode.QuotaExceeded,
  ReasonCode.ConnectionRateExceeded,
  ReasonCode.MaximumConnectTime,
]);

const CONNECT_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; start the broker, or name another with -h and -p",
  ENOTFOUND: "the host name is unknown; name another with -h",
  ENOENT: "there is no such socket; start the broker, or name another with --unix",
  EADDRNOTAVAIL: "this machine has no such address to connect from; name another with -A",
  EACCES: "not permitted; run as a user who may open it",
  EHOSTUNREACH: "the host cannot be reached from here",
  ENETUNREACH: "the network cannot be reached from here",
  ETIMEDOUT: "no answer; check the address, and what stands between",
  ECONNRESET: "it closed the connection; check whether the port speaks MQTT, with TLS or without",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "its certificate is for another name; connect by a name that it holds, or take the risk of --insecure",
  CERT_HAS_EXPIRED: "its certificate has expired; give the broker a new one",
  ERR_TLS_CERT_UNTRUSTED:
    "its certificate is not trusted; name its authority with --cafile, or take the risk of --insecure",
};

const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY)|CERT_UNTRUSTED/;

export function connectFailure(target: Target, error: ConnectError): CommandError {
  const code = UNTRUSTED.test(error.code) ? "ERR_TLS_CERT_UNTRUSTED" : error.code;
  const advice = CONNECT_ADVICE[code] ?? error.message;
  const detail = error.code === "" ? "" : ` (${error.code})`;
  return new CommandError(`cannot connect to ${targetText(target)}: ${advice}${detail}`);
}

/** Return codes of CONNACK before MQTT 5, by their place. */
const RETURN_CODES = [
  "",
  "it does not speak this version of MQTT",
  "it does not like the client identifier",
  "it is not available",
  "bad user name or password",
  "not authorized",
];

const CODE_ADVICE: Readonly<Record<number, string>> = {
  1: "; try another with -V",
  2: "; choose another with -i",
  4: "; give the right ones with -u and -P",
  5: "; give a user name and password with -u and -P",
  132: "; try another version with -V",
  133: "; choose another with -i",
  134: "; give the right ones with -u and -P",
  135: "; this user may not do it: give another with -u and -P, or have the rights granted",
  149: "; the message is larger than the broker takes",
  151: "; the broker has no room now: try again later",
};

/** "Not authorized (0x87, "no rights"): this user may not …" of any Reason Code of MQTT 5. */
export function reasonText(code: number, reasonString?: string): string {
  const words = reasonCodeName(code).replace(/([a-z])([A-Z])/g, "$1 $2");
  const said = reasonString === undefined ? "" : `, ${JSON.stringify(reasonString)}`;
  const name = words.startsWith("0x") ? words : `${words} (0x${code.toString(16).padStart(2, "0")}${said})`;
  return `${name}${CODE_ADVICE[code] ?? ""}`;
}

/** Exit status is the code of the CONNACK. */
export function refusal(version: number, code: number, reasonString: string | undefined): CommandError {
  const why =
    version === 5
      ? reasonText(code, reasonString)
      : `${RETURN_CODES[code] ?? `return code ${code}`}${CODE_ADVICE[code] ?? ""}`;
  return new CommandError(`the broker refuses the connection: ${why}`, code);
}
