// SCRAM as an authenticator: the Authentication Methods SCRAM-SHA-256 and SCRAM-SHA-512, for users of the lists that
// the listener has.

import type { ConnectAttempt } from "../net/access.ts";
import { type ExchangeAuthenticator, notMine, type Outcome, type ServerExchange } from "./authenticator.ts";
import { ITERATIONS_DEFAULT } from "./passwordHash.ts";
import { isScramMethod, type ScramCredential, type ScramMethod } from "./scram.ts";
import { decoy, type Found, ScramExchange } from "./scramExchange.ts";
import type { Secret } from "./secret.ts";
import type { UserList } from "./userList.ts";

const DECOY_SALT_BYTES = 16;

export class ScramAuthenticator implements ExchangeAuthenticator {
  readonly name = "scram";
  private readonly lists: readonly UserList[];
  private readonly secret: Secret;

  constructor(lists: readonly UserList[], secret: Secret) {
    this.lists = lists;
    this.secret = secret;
  }

  judge(): Outcome {
    return notMine("no Authentication Method");
  }

  knows(userName: string): boolean {
    return this.lists.some((list) => list.knows(userName));
  }

  begin(method: string, attempt: ConnectAttempt): ServerExchange | null {
    if (!isScramMethod(method)) return null;
    return new ScramExchange(attempt, (userName) => this.find(method, userName));
  }

  private find(method: ScramMethod, userName: string): Found {
    for (const list of this.lists) {
      const credential = list.credentials(userName)?.scram.get(method);
      if (credential !== undefined) return { credential, isKnown: true };
    }
    return { credential: this.invented(method, userName), isKnown: false };
  }

  /** It looks like that of some real user: as many iterations, a salt as long. */
  private invented(method: ScramMethod, userName: string): ScramCredential {
    const choose = (count: number): number => this.secret.choice(count, "like", method, userName);
    const like = this.lists
      .map((list) => list.someScram(method, choose))
      .find((credential) => credential !== undefined);
    const model = like ?? this.usual(method);
    const salt: Buffer[] = [];
    for (let length = 0; length < model.salt.length; length += salt.at(-1)!.length)
      salt.push(this.secret.digest("salt", method, userName, `${salt.length}`));
    return decoy(model, Buffer.concat(salt, model.salt.length));
  }

  private usual(method: ScramMethod): ScramCredential {
    const iterations = ITERATIONS_DEFAULT["scram-sha-256"] ?? 0;
    const none = new Uint8Array(0);
    return { method, iterations, salt: new Uint8Array(DECOY_SALT_BYTES), storedKey: none, serverKey: none };
  }
}
