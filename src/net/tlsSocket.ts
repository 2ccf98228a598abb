// TLS socket: an accepted socket from its ClientHello on. Bun does the work below JavaScript: what comes out is the
// client's bytes, what goes in is sealed on its way to the kernel, and no more than a record of it waits here.

import type { Socket as BunSocket } from "bun";
import type { SecureCarrier, TlsUser } from "./arrival.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import { RELEASED_BYTES_MIN, release } from "./chunk.ts";
import type { Layer } from "./layer.ts";
import { type CertificateFields, peerCertificateOf } from "./peerCertificate.ts";
import type { SecureContext, TlsKit } from "./tlsKit.ts";

/** What Bun takes for a server-side upgrade, beyond what its types say. */
interface ServerUpgrade {
  readonly isServer: true;
  readonly secureContext: SecureContext;
  readonly tls: TlsKit["policy"];
  /** Bytes that have been read already: the ClientHello, or its beginning. */
  readonly initialData: Buffer;
  readonly data: TlsSocket;
  readonly socket: typeof handlers;
}

type Upgrade = (options: ServerUpgrade) => [raw: BunSocket<unknown>, tls: BunSocket<TlsSocket>];

const handlers = {
  serverName(tls: TlsSocket, name: string): SecureContext | undefined {
    return tls.kit.contextFor(name);
  },
  open(socket: BunSocket<TlsSocket>): void {
    socket.data.opened(socket);
  },
  handshake(socket: BunSocket<TlsSocket>, success: boolean, error: Error | null): void {
    socket.data.shaken(success, error);
  },
  data(socket: BunSocket<TlsSocket>, chunk: Buffer): void {
    socket.data.layer.data(chunk);
    if (chunk.length >= RELEASED_BYTES_MIN) release(chunk);
  },
  drain(socket: BunSocket<TlsSocket>): void {
    socket.data.layer.drain();
  },
  /** The client sends no more. Bun would wait with the close until it has read everything, for ever if it does not. */
  end(socket: BunSocket<TlsSocket>): void {
    socket.data.end();
  },
  close(socket: BunSocket<TlsSocket>): void {
    socket.data.layer.closed();
  },
  error(): void {}, // close follows
};

export class TlsSocket implements SecureCarrier {
  layer: Layer;
  readonly kit: TlsKit;
  private readonly user: TlsUser;
  private tls: BunSocket<TlsSocket> | null = null;
  private raw: BunSocket<unknown> | null = null;
  private isSecured = false;
  private isEnded = false;

  /** Begins the handshake on `accepted`, whose own callbacks see no plain text from now on. */
  constructor(accepted: BunSocket<unknown>, kit: TlsKit, hello: Buffer, user: TlsUser) {
    this.kit = kit;
    this.user = user;
    this.layer = user;
    const upgrade = accepted.upgradeTLS.bind(accepted) as unknown as Upgrade;
    const [raw, tls] = upgrade({
      isServer: true,
      secureContext: kit.context,
      tls: kit.policy,
      initialData: hello,
      data: this,
      socket: handlers,
    });
    this.raw = raw;
    this.tls = tls;
    if (this.isEnded) this.finish();
  }

  /** What is spoken is chosen as soon as the ClientHello is whole. */
  get hasSpoken(): boolean {
    const { name } = (this.tls?.getCipher() ?? { name: null }) as { name: string | null };
    return name !== null;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    return this.tls!.write(bytes, at, length);
  }

  pause(): void {
    this.tls!.pause();
  }

  resume(): void {
    this.tls!.resume();
  }

  /** Says close_notify and closes. Bun's own end() would wait for the client's answer, for ever if none comes. */
  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    if (this.raw !== null) this.finish();
  }

  /** Closes at once, whatever waits to be sent. */
  drop(): void {
    this.isEnded = true;
    this.raw?.terminate();
  }

  private finish(): void {
    if (this.isSecured) this.tls!.shutdown();
    this.raw!.shutdown();
    this.raw!.end();
  }

  // ---- called by Bun

  /** Before the constructor has what upgradeTLS returns. */
  opened(socket: BunSocket<TlsSocket>): void {
    this.tls = socket;
  }

  shaken(success: boolean, error: Error | null): void {
    const tls = this.tls!;
    const isRefused = this.kit.policy.requestCert && !tls.authorized;
    const isShown = this.kit.policy.requestCert && tls.getPeerX509Certificate() !== undefined;
    if (!success || (isRefused && (isShown || this.kit.policy.rejectUnauthorized))) {
      this.user.insecure(causeOf(success, error));
      this.end();
      return;
    }
    this.isSecured = true;
    const fields = isShown ? (tls.getPeerCertificate() as CertificateFields) : null;
    this.user.secured(fields === null ? null : peerCertificateOf(fields));
  }
}

function causeOf(success: boolean, error: Error | null): Closed {
  const { code, message } = (error ?? {}) as { code?: string; message?: string };
  if (success) return { ...CloseCause.certificate, detail: message ?? code ?? "it could not be verified" };
  if (code === "ECONNRESET") return CloseCause.lost;
  if (message?.includes("PEER_DID_NOT_RETURN_A_CERTIFICATE"))
    return { ...CloseCause.certificate, detail: "it showed none" };
  return { ...CloseCause.tls, detail: message ?? "" };
}
