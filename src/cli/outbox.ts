// Outbox: messages on their way to a broker, in order, over one connection after another. A message of QoS 1 or 2 is
// kept until the broker has it; after a lost connection it is published again, before any other.

import { CommandError } from "./end.ts";
import { connectAgain, type Warn } from "./mqtt/again.ts";
import { Client, type ClientTerms, type Message } from "./mqtt/client.ts";
import { EXIT_LOST, LostError, reasonText } from "./mqtt/failure.ts";

/** How often the oldest message may see its connection lost. */
const LOSSES_MAX = 3;
const REFUSED = 0x80;

export interface OutboxTerms {
  readonly client: ClientTerms;
  /** Whether a lost connection is made anew, or the end. */
  readonly retries: boolean;
  readonly warn: Warn;
}

export class Outbox {
  /** The first Reason Code that refused a message; 0 when none did. */
  refusedWith = 0;
  private readonly terms: OutboxTerms;
  private client: Client;
  /** At most as many as may be in flight. */
  private readonly kept = new Set<Message>();
  private failure: unknown;
  private oldestLost: Message | undefined;
  private losses = 0;

  private constructor(terms: OutboxTerms, client: Client) {
    this.terms = terms;
    this.client = client;
  }

  static async open(terms: OutboxTerms): Promise<Outbox> {
    return new Outbox(terms, await Client.connect(terms.client, () => true));
  }

  /** Resolves when it is sent. Throws CommandError when the connection is lost for good. */
  async put(message: Message): Promise<void> {
    await this.ready();
    if (message.qos > 0) this.send(message);
    else await this.client.publish(message).catch((error: unknown) => this.failed(error));
  }

  /** Resolves when the broker has answered all. */
  async empty(): Promise<void> {
    for (;;) {
      await this.client.idle();
      await this.ready();
      if (this.kept.size === 0) return;
    }
  }

  close(...how: Parameters<Client["disconnect"]>): Promise<void> {
    return this.client.disconnect(...how);
  }

  /** Resolves when there is a connection with room. */
  private async ready(): Promise<void> {
    for (;;) {
      await this.client.room();
      if (this.failure !== undefined) throw this.failure;
      if (this.client.isOpen) return;
      await this.recover((await this.client.closed) ?? new LostError("the connection is closed"));
    }
  }

  private send(message: Message): void {
    this.kept.add(message);
    this.client.publish(message).then(
      (code) => this.answered(message, code),
      (error: unknown) => this.failed(error),
    );
  }

  private answered(message: Message, code: number): void {
    this.kept.delete(message);
    if (code < REFUSED) return;
    if (this.refusedWith === 0) this.terms.warn(`the broker refuses a message: ${reasonText(code)}`);
    this.refusedWith ||= code;
  }

  /** A lost connection is dealt with when it is next looked at. */
  private failed(error: unknown): void {
    if (!(error instanceof LostError)) this.failure ??= error;
  }

  private async recover(error: LostError): Promise<void> {
    const { terms } = this;
    const [oldest] = this.kept;
    this.losses = oldest !== undefined && oldest === this.oldestLost ? this.losses + 1 : 0;
    this.oldestLost = oldest;
    if (!terms.retries || !error.mayPass || this.losses >= LOSSES_MAX)
      throw new CommandError(this.lossText(error), EXIT_LOST);
    this.client = await connectAgain(error, terms.client, () => true, terms.warn);
    for (const message of this.kept) {
      await this.client.room();
      this.send(message);
    }
  }

  private lossText({ message }: LostError): string {
    const count = this.kept.size;
    const left = count === 0 ? "" : `; ${count} message${count === 1 ? " was" : "s were"} not acknowledged`;
    return `the connection is lost: ${message}${left}`;
  }
}
