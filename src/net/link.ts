// Link: a client without a socket, for the program that the broker runs in and for the services beside it: it
// subscribes, and frames that the router writes to it become messages. It has a session like any client's, of MQTT 5,
// that ends with it. What it publishes goes by Router.publish.
//
// Messages are taken at the speed at which `onMessage` returns; QoS 1 is acknowledged when its promise, if it gives
// one, is fulfilled, so that at most `window` are on their way. QoS 0 waits for nobody.

import { assert } from "../base/assert.ts";
import type { Segment } from "../log/segment.ts";
import type { MqttError } from "../packet/error.ts";
import { bodyAt, frameBody, NEED_MORE, PacketType, remainingLength } from "../packet/frame.ts";
import { noProperties, type Properties, readProperties } from "../packet/properties.ts";
import type { QoS } from "../packet/protocol.ts";
import { PacketReader } from "../packet/reader.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import type { SubscribeTerms } from "../router/subscribe.ts";
import type { Router } from "../router/router.ts";
import type { DeliveryPort } from "../session/ports.ts";
import { BROKER_OWNER, type Session } from "../session/session.ts";

/** What every link may subscribe to. */
const TERMS: SubscribeTerms = {
  qosMax: 1,
  wildcardAvailable: true,
  sharedAvailable: true,
  identifiersAvailable: false,
  limits: { subscriptions: Number.POSITIVE_INFINITY },
};
const FRAME_BYTES_MAX = 0xffff_ffff;
const QUEUE_MESSAGES_MAX = 100_000;
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const RETAIN = 1;

const reader = new PacketReader();

/** One message, read from the frame when asked: its parts are good until the handler has returned. */
export class LinkMessage {
  private bytes: Uint8Array = new Uint8Array(0);
  private first = 0;
  private topicAt = 0;
  private topicEnd = 0;
  private propertiesAt = 0;
  private end = 0;

  /** Stands on the whole PUBLISH frame at bytes[at..end). Returns its Packet Identifier, 0 for QoS 0. */
  begin(bytes: Uint8Array, at: number, end: number): number {
    this.bytes = bytes;
    this.first = bytes[at]!;
    const body = frameBody(bytes, at);
    this.topicAt = body + 2;
    this.topicEnd = this.topicAt + bytes[body]! * 256 + bytes[body + 1]!;
    this.end = end;
    this.propertiesAt = this.qos === 0 ? this.topicEnd : this.topicEnd + 2;
    return this.qos === 0 ? 0 : bytes[this.topicEnd]! * 256 + bytes[this.topicEnd + 1]!;
  }

  get topic(): string {
    return decodeUtf8(this.bytes, this.topicAt, this.topicEnd);
  }

  get qos(): QoS {
    return ((this.first >> 1) & 3) as QoS;
  }

  /** It was retained before the subscription. */
  get retain(): boolean {
    return (this.first & RETAIN) !== 0;
  }

  get properties(): Readonly<Properties> {
    if (this.bytes[this.propertiesAt] === 0) return noProperties;
    reader.begin(this.bytes, this.propertiesAt, this.end);
    return readProperties(reader, PacketType.Publish);
  }

  /** A copy. */
  get payload(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes.subarray(this.payloadAt, this.end));
  }

  get payloadBytes(): number {
    return this.end - this.payloadAt;
  }

  private get payloadAt(): number {
    const body = frameBody(this.bytes, this.propertiesAt - 1);
    return body + remainingLength(this.bytes, this.propertiesAt - 1, body);
  }
}

export interface LinkHandlers {
  onMessage(message: LinkMessage): void | Promise<void>;
  /** The broker ended the link: it got too far behind, or its Client Identifier was taken over. */
  onClosed?(error: MqttError): void;
}

export class Link implements DeliveryPort {
  readonly owes = false;
  readonly owesControl = false;
  readonly tailSegment: Segment | null = null;
  sentBytes = 0;
  private readonly router: Router;
  private readonly handlers: LinkHandlers;
  private readonly session: Session;
  private readonly message = new LinkMessage();
  private isOpen = true;
  /** A large message, whose head and payload are written apart, and how much of it has come. */
  private large: Uint8Array | null = null;
  private largeBytes = 0;
  /** Packet Identifiers that are acknowledged when the present write is over. */
  private settled: number[] = [];

  /** `window` bounds QoS 1 messages on their way. Throws when the sessions' budget has no room. */
  constructor(router: Router, clientIdentifier: string, window: number, handlers: LinkHandlers) {
    this.router = router;
    this.handlers = handlers;
    const resumed = router.open(clientIdentifier, true, this, {
      level: 5,
      window,
      frameMax: FRAME_BYTES_MAX,
      aliasMax: 0,
      expiryInterval: 0,
      queueMessagesMax: QUEUE_MESSAGES_MAX,
      queueBytesMax: QUEUE_BYTES_MAX,
      owner: BROKER_OWNER,
      will: null,
      rights: null,
    });
    if (resumed === null) throw new Error("no memory is left for a session: raise [router] memory");
    this.session = resumed.session;
    router.sessions.start(this.session);
  }

  /** Returns the granted QoS; throws for what is no Topic Filter and when the budget has no room. */
  subscribe(filter: string, qos: 0 | 1, retained: boolean): number {
    const entry = {
      filter,
      qos,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: retained ? (0 as const) : (2 as const),
    };
    const [code = ReasonCode.UnspecifiedError] = this.router.subscriptions.subscribe(
      this.session,
      [entry],
      0,
      TERMS,
    );
    if (code > qos) throw new Error(`the subscription to ${filter} is refused with Reason Code ${code}`);
    return code;
  }

  unsubscribe(filter: string): void {
    this.router.subscriptions.unsubscribe(this.session, [filter]);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.router.sessions.connectionEnded(this.session, this, null);
  }

  // ---- what the router asks (DeliveryPort)

  flushRest(): boolean {
    return true;
  }

  flushControl(): boolean {
    return true;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    if (!this.isOpen) return -1;
    const end = at + length;
    let position = this.large === null ? at : this.fill(this.large, bytes, at, end);
    while (position < end) {
      const body = bodyAt(bytes, position, end);
      assert(body !== NEED_MORE, "a piece of a frame holds its header");
      const frameEnd = body + remainingLength(bytes, position, body);
      if (frameEnd <= end) {
        this.deliver(this.message.begin(bytes, position, frameEnd));
        position = frameEnd;
      } else {
        this.large = new Uint8Array(frameEnd - position);
        this.largeBytes = 0;
        position = this.fill(this.large, bytes, position, end);
      }
    }
    this.sentBytes += length;
    return length;
  }

  /** Takes what bytes[at..end) has of the frame that comes in pieces. Returns the position behind it. */
  private fill(large: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
    const taken = Math.min(large.length - this.largeBytes, end - at);
    large.set(bytes.subarray(at, at + taken), this.largeBytes);
    this.largeBytes += taken;
    if (this.largeBytes === large.length) {
      this.large = null;
      this.deliver(this.message.begin(large, 0, large.length));
    }
    return at + taken;
  }

  private deliver(identifier: number): void {
    const done = this.handlers.onMessage(this.message);
    if (identifier === 0) return;
    if (done === undefined) this.settle(identifier);
    else void done.then(() => this.settle(identifier));
  }

  /** The router is within a write: it gets the acknowledgements afterwards. */
  private settle(identifier: number): void {
    if (this.settled.push(identifier) > 1) return;
    queueMicrotask(() => {
      const { settled } = this;
      this.settled = [];
      if (!this.isOpen) return;
      for (const one of settled) this.router.acknowledgements.puback(this.session, one);
    });
  }

  mayKeep(): boolean {
    return true;
  }

  keepRest(): boolean {
    return true;
  }

  keepTail(): void {}

  /** Control packets answer what a link does not send. */
  sendControl(): void {}

  /** A link publishes by Router.publish, which says at once when there is no room. */
  pace(): void {}

  /** It has no Will. */
  mayStillPublish(): boolean {
    return true;
  }

  disconnect(error: MqttError): void {
    if (!this.isOpen) return;
    this.close();
    this.handlers.onClosed?.(error);
  }
}
