// Listener socket: an accepted socket, plain: bytes go to its layer, and what is written goes to the kernel.

import type { Socket as BunSocket } from "bun";
import type { AcceptedSocket, SecureCarrier, TlsUser } from "./arrival.ts";
import type { Layer } from "./layer.ts";
import type { TlsKit } from "./tlsKit.ts";
import { TlsSocket } from "./tlsSocket.ts";

const NOBODY: Layer = { data() {}, drain() {}, closed() {} };

export class ListenerSocket implements AcceptedSocket {
  layer: Layer = NOBODY;
  private readonly socket: BunSocket<ListenerSocket>;
  private tls: TlsSocket | null = null;

  constructor(socket: BunSocket<ListenerSocket>) {
    this.socket = socket;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? "";
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    return this.socket.write(bytes, at, length);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  drop(): void {
    if (this.tls === null) this.socket.terminate();
    else this.tls.drop();
  }

  secure(kit: TlsKit, hello: Buffer, user: TlsUser): SecureCarrier {
    this.tls = new TlsSocket(this.socket, kit, hello, user);
    return this.tls;
  }
}
