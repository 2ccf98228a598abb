// Listener: one listening socket and what comes in through it. Here, and in the sockets beside it, Bun's sockets are
// named, and nowhere else in the core. (Bun sets TCP_NODELAY on every socket that it accepts.)

import type { Socket as BunSocket, SocketHandler, SocketListener, TCPSocketListener } from "bun";
import { AddressRanges, isLoopbackAddress, plainAddress, UNIX_ADDRESS } from "./address.ts";
import { Arrival, type ArrivalPlace, readsFirst } from "./arrival.ts";
import { RELEASED_BYTES_MIN, release } from "./chunk.ts";
import type { Host } from "./host.ts";
import type { Congestion } from "./listenerCongestion.ts";
import { ListenerSocket } from "./listenerSocket.ts";
import { listenOnUnix } from "./listenerUnix.ts";
import { errors } from "../packet/error.ts";
import type { ListenerSettings } from "./settings.ts";
import { loadTlsKit, type TlsKit } from "./tlsKit.ts";

/** Whoever would have to wait longer for its turn is told at once that connections come too fast. */
const DELAY_MS_MAX = 30_000;

export class Listener implements ArrivalPlace {
  settings: ListenerSettings;
  trusted: AddressRanges | null;
  tlsKit: TlsKit | null;
  private readonly host: Host;
  private readonly congestion: Congestion | null;
  private server: SocketListener<ListenerSocket> | null = null;
  /** Sockets are read, and not only by TLS; once they are, they stay so: some may have been accepted for that. */
  private reads = false;
  /** Its connections do not begin with the system's congestion control, and may come from elsewhere. */
  private mayNeedPacing = false;
  /** When the next connection may begin, ms. */
  private nextStartMs = 0;

  /** Reads the files that `settings` name; throws TlsFileError. */
  constructor(settings: ListenerSettings, host: Host, congestion: Congestion | null = null) {
    this.settings = settings;
    this.host = host;
    this.congestion = congestion;
    this.tlsKit = null;
    this.trusted = null;
    this.change(settings)();
  }

  /**
   * Other settings for the same address, for connections from now on. Reads the files that they name and throws
   * TlsFileError; nothing changes until what it returns is called.
   */
  change(settings: ListenerSettings): () => void {
    const { tls, trustedProxies } = settings.transport;
    const kit = tls === null ? null : loadTlsKit(tls, this.host.router.clock.wallMs());
    return () => {
      this.settings = settings;
      this.tlsKit = kit;
      this.trusted = trustedProxies === null ? null : new AddressRanges(trustedProxies);
      if (this.reads || !readsFirst(settings.transport)) return;
      this.reads = true;
      this.server?.reload({ socket: this.handlers() });
    };
  }

  /** Listens. Rejects with what the system says, with `code`, when it cannot. */
  async start(): Promise<void> {
    const { host: hostname, port, transport } = this.settings;
    const socket = this.handlers();
    if (transport.unix !== null) {
      this.server = await listenOnUnix(transport.unix, (unix) =>
        Bun.listen<ListenerSocket>({ unix, socket }),
      );
      return;
    }
    const server = Bun.listen<ListenerSocket>({ hostname, port, socket });
    this.server = server;
    const isUnpaced = this.congestion?.listening(server) ?? false;
    this.mayNeedPacing = isUnpaced && !isLoopbackAddress(hostname);
  }

  private handlers(): SocketHandler<ListenerSocket> {
    const handlers: SocketHandler<ListenerSocket> = {
      open: (socket) => this.accept(socket),
      drain(socket) {
        socket.data?.layer.drain();
      },
      close(socket) {
        socket.data?.layer.closed();
      },
      error(socket) {
        socket.data?.layer.closed();
      },
    };
    if (!this.reads) return handlers;
    handlers.data = (socket, chunk) => {
      socket.data.layer.data(chunk);
      if (chunk.length >= RELEASED_BYTES_MIN) release(chunk);
    };
    return handlers;
  }

  private accept(socket: BunSocket<ListenerSocket>): void {
    if (!this.host.hasPlace()) {
      const { section, transport } = this.settings;
      const isUnix = transport.unix !== null;
      this.host.turnAway(section, isUnix ? UNIX_ADDRESS : plainAddress(socket.remoteAddress ?? ""));
      socket.terminate();
      return;
    }
    if (this.mayNeedPacing) this.congestion!.accepted(socket);
    socket.data = new ListenerSocket(socket);
    const arrival = new Arrival(this.host, this, socket.data);
    if (this.settings.nextConnectionDelayMs === 0) arrival.begin();
    else this.delay(socket, arrival);
  }

  /** Connections begin one after another, `nextConnectionDelayMs` apart: until then the socket is not read. */
  private delay(socket: BunSocket<ListenerSocket>, arrival: Arrival): void {
    const now = this.host.router.clock.nowMs();
    const start = Math.max(now, this.nextStartMs);
    if (start - now > DELAY_MS_MAX) {
      arrival.refusal = errors.connectionRateExceeded;
      arrival.begin();
      return;
    }
    this.nextStartMs = start + this.settings.nextConnectionDelayMs;
    if (start <= now) {
      arrival.begin();
      return;
    }
    arrival.openedMs = start;
    socket.pause();
    setTimeout(() => {
      socket.resume();
      arrival.begin();
    }, start - now);
  }

  /** Loads the files of TLS anew, for connections from now on. Throws TlsFileError, and all stays as it was. */
  reload(): void {
    const { tls } = this.settings.transport;
    if (tls !== null) this.tlsKit = loadTlsKit(tls, this.host.router.clock.wallMs());
  }

  /** 0 where it is none of TCP. */
  get port(): number {
    return (this.server as Partial<TCPSocketListener> | null)?.port ?? 0;
  }

  /** No further connections; those that stand are not touched. */
  stop(): void {
    this.server?.stop(false);
  }
}
