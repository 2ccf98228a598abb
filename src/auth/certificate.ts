// Client certificate: whom the TLS handshake has verified is who the certificate says, by the rule of the listener.

import type { ConnectAttempt } from "../net/access.ts";
import type { CertificateIdentity } from "../net/transport.ts";
import { errors } from "../packet/error.ts";
import {
  type Authenticator,
  certificateName,
  denied,
  granted,
  notMine,
  type Outcome,
  shown,
} from "./authenticator.ts";

/** Names longer than this are nobody's. */
const NAME_CHARACTERS_MAX = 256;
const CONTROL = /\p{Cc}/u;

export class CertificateAuthenticator implements Authenticator {
  readonly name = "certificate";
  readonly takesNoPassword = true;
  private readonly identity: CertificateIdentity;
  private readonly isAlone: boolean;

  /** `isAlone`: no other authenticator looks at what a client says of itself, so that it makes no difference. */
  constructor(identity: CertificateIdentity, isAlone: boolean) {
    this.identity = identity;
    this.isAlone = isAlone;
  }

  /** Who says another name too is judged by what it can prove that with. */
  judge({ certificate, userName = "" }: ConnectAttempt): Outcome {
    if (certificate === null) return notMine("no client certificate");
    const name = certificateName(certificate, this.identity);
    if (name === "" || name.length > NAME_CHARACTERS_MAX || CONTROL.test(name)) {
      const part = this.identity.toUpperCase();
      return denied(errors.notAuthorized, `the certificate has no usable ${part}`);
    }
    if (this.isAlone || userName === "" || userName === name) return granted(name);
    return notMine(`the certificate is ${shown(name)}'s, the User Name says ${shown(userName)}`);
  }
}

/**
 * The tenant that a certificate's O names; null when it cannot be one: it becomes a level of topics, so that it holds
 * neither a separator nor a wildcard.
 */
export function tenantOf(organization: string): string | null {
  if (organization === "" || organization.length > NAME_CHARACTERS_MAX) return null;
  return /[/+#]/.test(organization) || CONTROL.test(organization) ? null : organization;
}
