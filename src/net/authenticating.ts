// Authenticating: how a client comes in where the broker has an Access, and what becomes of its grant: §3.1.4, §4.12.
//
//   CONNECT ──▶ judge() ───────────────────────────────────────────▶ verdict ──▶ CONNACK
//   CONNECT with a method ──▶ next() ──AUTH▶ client ──AUTH▶ next() … ──▶ verdict ──▶ CONNACK
//   AUTH 0x19 of a connected client ──▶ next() ──AUTH▶ client … ──▶ verdict ──▶ AUTH 0x00
//
// While an answer of Access is awaited before CONNACK the socket is not read; while a client authenticates anew its
// traffic goes on. An answer that comes after the connection has ended counts for nothing. Access that throws, rejects
// or says what is no answer lets nobody in.

import type { Connect } from "../packet/connect.ts";
import { type Auth, decodeAuth, decodeDisconnect } from "../packet/disconnect.ts";
import { writeAuth } from "../packet/encode.ts";
import { errors, isMqttError, type MqttError, mqttError } from "../packet/error.ts";
import { PacketType } from "../packet/frame.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import {
  type Access,
  type ConnectAttempt,
  type Denial,
  type Exchange,
  type Grant,
  identityOf,
  type Step,
  type Verdict,
} from "./access.ts";
import { CloseCause } from "./closeCause.ts";
import type { Connection } from "./connection.ts";
import { ConnectionState } from "./connectionState.ts";
import { admit, applyGrant, objection, refuse } from "./handshake.ts";
import { limitDepth } from "./limits.ts";

/** AUTH packets that one exchange may ask of the client. */
export const AUTH_ROUNDS_MAX = 16;
/** Characters of an exception's message that the log is told. */
const FAILURE_TEXT_MAX = 200;

/** Bytes of a CONNECT that are part of what any connection costs. */
const CONNECT_BYTES_FREE = 256;

/** In no user name: identities and the broker's own sessions rely on it. */
const NUL = "\u0000";

const NO_VERDICT = "the answer is neither a grant nor a denial";

const NO_DATA = new Uint8Array(0);
const PACKET_UNLIMITED = 0xffff_ffff;

/** What everybody gets where there is no Access. */
const EVERYTHING: Grant = Object.freeze({
  granted: true,
  userName: "",
  tenant: null,
  claims: Object.freeze({}),
  rights: null,
  expiresWallMs: Number.POSITIVE_INFINITY,
});

const unexpectedAuth = mqttError(
  ReasonCode.ProtocolError,
  "§4.12",
  "AUTH that no exchange waits for, or of the wrong kind",
);

/** What CONNECT says of its client is known from now on. */
export function introduce(connection: Connection, connect: Connect): void {
  connection.level = connect.level;
  connection.clientIdentifier = connect.clientIdentifier;
  connection.claimedName = connect.userName ?? "";
}

/** Lets the client that introduce() knows in, asks Access whether it may come in, or refuses it. */
export function authenticate(connection: Connection, connect: Connect): void {
  const { host } = connection;
  const error = objection(connection, connect);
  if (error !== null) {
    refuse(connection, error);
    return;
  }
  const { access } = host;
  if (connect.clientIdentifier === "") connection.clientIdentifier = host.assignIdentifier();
  if (access !== null) {
    connection.authentication = new Authentication(connection, access, connect);
    connection.authentication.begin();
  } else if (connect.properties.authenticationMethod !== undefined) {
    refuse(connection, errors.badAuthenticationMethod); // [MQTT-4.12.0-1]
  } else admit(connection, connect, EVERYTHING, NO_DATA);
}

/** A client that came in while there was no Access is judged from now on, as the one who it was: nobody. */
export function adopt(connection: Connection): void {
  const { access } = connection.host;
  if (access === null || connection.session === null || connection.authentication !== null) return;
  connection.authentication = new Authentication(connection, access, null);
  connection.authentication.grant = EVERYTHING;
}

export class Authentication {
  /** Null until there is a verdict. */
  grant: Grant | null = null;
  /** CONNECT's Authentication Method. */
  readonly method: string | undefined;
  private readonly connection: Connection;
  private readonly access: Access;
  /** Until CONNACK. */
  private connect: Connect | null;
  /** With the password only until there is a verdict. */
  private attempt: ConnectAttempt;
  /** Budgeted bytes of it, while the client is a stranger. */
  private connectCost = 0;
  private exchange: Exchange | null = null;
  private rounds = 0;
  /** An answer of Access is to come. */
  private isAwaited = false;
  /** When the client began to authenticate anew, ms. */
  private startedMs = 0;
  /** The revision of users and rules under which Access was asked first. */
  private revision: number;
  /** When the grant ends on the clock that never jumps, ms. */
  private expiresMs = Number.POSITIVE_INFINITY;

  /** Without `connect` it is of a client that is in already. */
  constructor(connection: Connection, access: Access, connect: Connect | null) {
    this.connection = connection;
    this.access = access;
    this.connect = connect;
    this.method = connect?.properties.authenticationMethod;
    this.revision = connection.host.revision;
    this.attempt = {
      connectionId: connection.number,
      listener: connection.listener.section,
      remoteAddress: connection.remoteAddress,
      level: connection.level,
      clientIdentifier: connection.clientIdentifier,
      userName: connect?.userName,
      password: connect?.password,
      certificate: connection.certificate,
    };
  }

  /** As proved, or as claimed while nothing is proved; "" when there is none. */
  get userName(): string {
    return this.grant?.userName ?? this.attempt.userName ?? "";
  }

  /** CONNECT came. */
  begin(): void {
    const { connection, connect, access, attempt } = this;
    connection.state = ConnectionState.Authenticating;
    if (this.method === undefined) this.ask(() => access.judge(attempt));
    else this.exchangeFrom(connect?.properties.authenticationData ?? NO_DATA);
    if (connection.state !== ConnectionState.Authenticating || connect === null) return;
    const cost = costOf(connect);
    if (connection.strangers.take(cost)) this.connectCost = cost;
    else this.refuse(errors.quotaExceeded);
  }

  private forgetConnect(): void {
    this.connect = null;
    if (this.connectCost > 0) this.connection.strangers.give(this.connectCost);
    this.connectCost = 0;
  }

  private exchangeFrom(data: Uint8Array): void {
    try {
      this.exchange = this.access.exchange(this.method ?? "", this.attempt);
    } catch (failure) {
      this.broken(failure);
      return;
    }
    this.rounds = 0;
    if (this.exchange !== null) this.next(this.exchange, data);
    else if (this.connect !== null)
      this.refuse(errors.badAuthenticationMethod); // [MQTT-4.12.0-1]
    else this.refuse(errors.notAuthorized, "the Authentication Method is not offered any more");
  }

  private next(exchange: Exchange, data: Uint8Array): void {
    this.ask(() => exchange.next(data));
  }

  private ask(question: () => Step | Promise<Step>): void {
    let answer: Step | Promise<Step>;
    try {
      answer = question();
    } catch (failure) {
      this.broken(failure);
      return;
    }
    if (!isPromise(answer)) {
      this.take(answer);
      return;
    }
    this.isAwaited = true;
    const isInitial = this.connection.state === ConnectionState.Authenticating;
    if (isInitial) this.connection.inbound.awaitVerdict();
    const settled = (act: () => void): void => {
      if (this.connection.state >= ConnectionState.Closing) return;
      this.isAwaited = false;
      act();
      if (isInitial) this.connection.inbound.release();
    };
    answer.then(
      (step) => settled(() => this.take(step)),
      (failure: unknown) => settled(() => this.broken(failure)),
    );
  }

  private take(step: Step): void {
    if (isGrant(step)) this.granted(step, step.data ?? NO_DATA);
    else if (step?.granted === false) this.denied(step);
    else if (step?.granted === "continue" && this.exchange !== null) this.more(step.data);
    else this.broken(new Error(NO_VERDICT));
  }

  /** The client is to send more. [MQTT-4.12.0-2] */
  private more(data: Uint8Array): void {
    if (++this.rounds > AUTH_ROUNDS_MAX) {
      this.refuse(errors.notAuthorized, "the exchange has too many rounds");
      return;
    }
    this.send(ReasonCode.ContinueAuthentication, data);
  }

  /** Sends AUTH with the method of CONNECT. [MQTT-4.12.0-5] */
  private send(reason: number, data: Uint8Array): void {
    const { connection } = this;
    const { out } = connection.host;
    const from = out.length;
    const sizeMax =
      this.connect?.properties.maximumPacketSize ?? connection.session?.frameMax ?? PACKET_UNLIMITED;
    const properties = {
      authenticationMethod: this.method ?? "",
      ...(data.length > 0 ? { authenticationData: data } : {}),
    };
    const fits = writeAuth(out, reason, properties, sizeMax);
    const length = out.length - from;
    out.length = from;
    if (!fits) {
      this.refuse(errors.packetTooLarge);
      return;
    }
    connection.host.router.stats.sends(PacketType.Auth);
    connection.sendControl(out.bytes, from, length);
  }

  private granted(granted: Grant, data: Uint8Array): void {
    const { connection, connect } = this;
    this.exchange = null;
    if (granted.userName.includes(NUL)) {
      this.refuse(errors.notAuthorized, "the user name holds U+0000");
      return;
    }
    if (this.grant !== null && identityOf(granted) !== identityOf(this.grant)) {
      this.refuse(errors.notAuthorized, "re-authentication as another user");
      return;
    }
    this.keep(granted);
    // Users and rules may have changed since Access was asked.
    if (this.revision !== connection.host.revision && !this.revise()) return;
    const grant = this.grant ?? granted;
    if (connect !== null) {
      this.forgetConnect();
      connection.host.identified(connection);
      admit(connection, connect, grant, data);
      return;
    }
    applyGrant(connection, grant);
    connection.host.stats.reauthenticated++;
    this.send(ReasonCode.Success, data);
  }

  private denied({ error, reason }: Denial): void {
    this.exchange = null;
    this.refuse(this.connect === null || !isMqttError(error) ? errors.notAuthorized : error, reason);
  }

  private keep(grant: Grant): void {
    this.grant = grant;
    if (this.attempt.password !== undefined) this.attempt = { ...this.attempt, password: undefined };
    const { clock } = this.connection.host.router;
    this.expiresMs = clock.nowMs() + grant.expiresWallMs - clock.wallMs();
  }

  /** CONNACK or DISCONNECT with the error's code. [MQTT-4.12.0-4] [MQTT-4.12.1-2] */
  private refuse(error: MqttError, detail?: string): void {
    this.connection.fail(error, detail);
  }

  /** Access has failed, not the client: it stays outside all the same. */
  private broken(failure: unknown): void {
    this.exchange = null;
    const { connection } = this;
    const text = failure instanceof Error ? failure.message : String(failure);
    connection.host.stats.accessFailures++;
    const error = this.connect === null ? errors.unspecified : errors.serverUnavailable;
    connection.fail(error, `access has failed: ${text.slice(0, FAILURE_TEXT_MAX)}`, "access_failed");
  }

  /** The connection has ended. */
  close(): void {
    this.forgetConnect();
    this.exchange = null;
  }

  // ---- what the client sends

  /** A packet before CONNACK: only AUTH and DISCONNECT may come. [MQTT-3.1.2-30] */
  packet(first: number, chunk: Buffer, body: number, end: number): void {
    const { connection } = this;
    const type = first & 0xf0;
    if (type !== PacketType.Auth && type !== PacketType.Disconnect) {
      connection.fail(errors.packetBeforeConnack);
    } else if ((first & 15) !== 0) connection.fail(errors.reservedFlags);
    else if (type === PacketType.Auth) this.auth(decodeAuth(connection.level, chunk, body, end));
    else {
      const disconnect = decodeDisconnect(connection.level, chunk, body, end);
      if (isMqttError(disconnect)) connection.fail(disconnect);
      else connection.close({ ...CloseCause.disconnect, reason: disconnect.reason });
    }
  }

  /** AUTH came, before CONNACK or after it. */
  auth(auth: Auth | MqttError): void {
    const { connection, exchange } = this;
    if (isMqttError(auth)) connection.fail(auth);
    else if (this.method === undefined)
      connection.fail(errors.authNotStarted); // [MQTT-4.12.0-7]
    else if (auth.method !== this.method)
      connection.fail(errors.authenticationMethodChanged); // [MQTT-4.12.0-5]
    else if (this.isAwaited) connection.fail(unexpectedAuth);
    else if (auth.reason === ReasonCode.ContinueAuthentication && exchange !== null) {
      this.next(exchange, auth.data); // [MQTT-4.12.0-3]
    } else if (auth.reason === ReasonCode.ReAuthenticate && exchange === null && this.connect === null) {
      this.startedMs = connection.host.router.clock.nowMs();
      this.revision = connection.host.revision;
      this.exchangeFrom(auth.data); // [MQTT-4.12.1-1]
    } else connection.fail(unexpectedAuth);
  }

  // ---- time and change

  /** CONNACK was due by now. */
  late(): void {
    if (this.isAwaited) this.broken(new Error("no answer in time"));
    else this.connection.close(CloseCause.authenticationTimeout);
  }

  /** Once a second while connected. */
  checkTime(nowMs: number): void {
    const { connection, grant } = this;
    if (grant === null) return;
    const { router, stats } = connection.host;
    if (nowMs >= this.expiresMs || router.clock.wallMs() >= grant.expiresWallMs) {
      stats.expired++;
      connection.fail(errors.maximumConnectTime, "what the client was granted has expired");
      return;
    }
    const isRunning = this.exchange !== null || this.isAwaited;
    if (isRunning && nowMs - this.startedMs >= connection.listener.connectTimeoutMs) {
      this.refuse(errors.notAuthorized, "re-authentication was not over in time");
    }
  }

  /** Users or rules have changed. False when the client has no grant any more: its connection has ended. */
  revise(): boolean {
    const { connection, grant } = this;
    if (grant === null || connection.state >= ConnectionState.Closing) return false;
    const verdict = this.revised(grant);
    if (verdict === null) return false;
    if (isGrant(verdict) && identityOf(verdict) === identityOf(grant)) {
      this.keep(verdict);
      if (connection.session !== null) applyGrant(connection, verdict);
      return true;
    }
    connection.host.stats.revoked++;
    if (connection.session !== null) connection.session.will = null; // it may not publish any more
    const why = isGrant(verdict) ? "the client is another user now" : verdict.reason;
    this.refuse(errors.notAuthorized, why);
    return false;
  }

  /** By the rules of now; the connection may be over. Access that fails permits nothing. */
  mayStillPublish(topicName: string): boolean {
    const { connection, grant } = this;
    if (grant === null) return false;
    try {
      const verdict = this.ofNow(grant);
      if (!isGrant(verdict) || identityOf(verdict) !== identityOf(grant)) return false;
      const rights = limitDepth(verdict.rights, connection.listener.limits.topicLevels);
      return rights === null || rights.mayPublish(topicName);
    } catch {
      connection.host.stats.accessFailures++;
      return false;
    }
  }

  /** What the Access of now says, which may be another one than let the client in, or none any more. */
  private ofNow(grant: Grant): Verdict {
    const { access } = this.connection.host;
    if (access !== null) return access.revise(grant, this.attempt);
    return grant.tenant === null ? { ...grant, rights: null } : grant; // a tenant stays within its topics
  }

  /** The same; null when Access has failed, and the connection has ended. */
  private revised(grant: Grant): Verdict | null {
    let verdict: Verdict;
    try {
      verdict = this.ofNow(grant);
    } catch (failure) {
      this.broken(failure);
      return null;
    }
    if (isGrant(verdict) || verdict?.granted === false) return verdict;
    this.broken(new Error(NO_VERDICT));
    return null;
  }
}

/** Bytes that a CONNECT holds on to beyond the usual ones. */
function costOf({ clientIdentifier, userName = "", password, will }: Connect): number {
  const texts = 2 * (clientIdentifier.length + userName.length) + (password?.length ?? 0);
  const bytes = will === undefined ? 0 : 2 * will.topic.length + will.properties.length + will.payload.length;
  return Math.max(0, texts + bytes - CONNECT_BYTES_FREE);
}

/** Types hold nobody to anything who embeds the broker in JavaScript. */
function isGrant<T extends Step>(verdict: T): verdict is Extract<T, { granted: true }> {
  return verdict?.granted === true && typeof verdict.userName === "string";
}

function isPromise(answer: Step | Promise<Step>): answer is Promise<Step> {
  return typeof (answer as Promise<Step> | undefined)?.then === "function";
}
