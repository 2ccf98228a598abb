// Outbox: messages on their way to a broker, in order, over one connection after another. A message of QoS 1 or 2 is
// kept until the broker has it; after a lost connection it is published again, before any other.

import { CommandError } from "./end.ts";
import { connectAgain, type Warn } from "./mqtt/again.ts";
import { Client, type ClientTerms, type Message } from "./mqtt/client.ts";
import { EXIT_LOST, LostError, reasonText } from "./mqtt/failure.ts";
import type { GivenProperties } from "./mqtt/properties.ts";

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
  /** Rejects when a message cannot be sent or the connection is lost for good, whoever waits for what. */
  readonly broken: Promise<never>;
  private readonly terms: OutboxTerms;
  private client: Client;
  /** At most as many as may be in flight. */
  private readonly kept = new Set<Message>();
  private recovery: Promise<void> | null = null;
  private failure: unknown;
  private fail: (error: unknown) => void = () => {};
  private oldestLost: Message | undefined;
  private losses = 0;

  private constructor(terms: OutboxTerms, client: Client) {
    this.terms = terms;
    this.client = client;
    this.broken = new Promise((_, reject) => {
      this.fail = reject;
    });
    this.broken.catch((error: unknown) => {
      this.failure = error;
    });
    this.watch(client);
  }

  static async open(terms: OutboxTerms): Promise<Outbox> {
    return new Outbox(terms, await Client.connect(terms.client, () => true));
  }

  /** True when there was a connection with room, and it is sent; put() does the same without a wait. */
  tryPut(message: Message): boolean {
    const { client } = this;
    if (this.failure !== undefined || this.recovery !== null || !client.hasRoom) return false;
    if (message.qos > 0) this.kept.add(message);
    this.send(client, message);
    return true;
  }

  /** Resolves when it is sent. */
  async put(message: Message): Promise<void> {
    if (message.qos > 0) {
      await this.ready();
      this.kept.add(message);
      this.send(this.client, message);
    } else while (!(await this.handOver(message)));
  }

  /** False when there was no connection any more to send it over. */
  private async handOver(message: Message): Promise<boolean> {
    await this.ready();
    try {
      await this.client.publish(message);
      return true;
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      return false;
    }
  }

  /** Resolves when the broker has answered all. */
  async empty(): Promise<void> {
    while (this.kept.size > 0) {
      await this.client.idle();
      await this.ready();
    }
  }

  close(properties: GivenProperties): Promise<void> {
    return this.client.disconnect(properties);
  }

  /** Resolves when there is a connection with room. */
  private async ready(): Promise<void> {
    do {
      await this.recovery;
      if (this.failure !== undefined) throw this.failure;
      await this.client.room();
      if (!this.client.isOpen) await this.client.closed;
    } while (!this.client.isOpen);
  }

  private send(client: Client, message: Message): void {
    client.publish(message).then(
      (code) => this.answered(message, code),
      (error: unknown) => {
        // A lost connection is recover()'s business.
        if (!(error instanceof LostError)) this.fail(error);
      },
    );
  }

  private answered(message: Message, code: number): void {
    this.kept.delete(message);
    if (code < REFUSED) return;
    if (this.refusedWith === 0) this.terms.warn(`the broker refuses a message: ${reasonText(code)}`);
    this.refusedWith ||= code;
  }

  private watch(client: Client): void {
    void client.closed.then((lost) => {
      if (lost === undefined) return;
      const recovery = this.recover(lost).catch(this.fail);
      this.recovery = recovery;
      void recovery.then(() => {
        if (this.recovery === recovery) this.recovery = null;
      });
    });
  }

  private async recover(error: LostError): Promise<void> {
    const { terms } = this;
    const [oldest] = this.kept;
    this.losses = oldest !== undefined && oldest === this.oldestLost ? this.losses + 1 : 0;
    this.oldestLost = oldest;
    if (!terms.retries || !error.mayPass || this.losses >= LOSSES_MAX)
      throw new CommandError(this.lossText(error), EXIT_LOST);
    const client = await connectAgain(error, terms.client, () => true, terms.warn);
    this.client = client;
    this.watch(client);
    for (const message of [...this.kept]) {
      await client.room();
      if (!client.isOpen) return;
      this.send(client, message);
    }
  }

  private lossText({ message }: LostError): string {
    const count = this.kept.size;
    const left = count === 0 ? "" : `; ${count} message${count === 1 ? " was" : "s were"} not acknowledged`;
    return `the connection is lost: ${message}${left}`;
  }
}
