// Listener: one listening socket and the Network Connections that came in through it. Here, and nowhere else in the
// core, Bun's sockets are named. (Bun sets TCP_NODELAY on every socket that it accepts.)

import type { Socket as BunSocket, TCPSocketListener } from "bun";
import { Connection, type Socket } from "./connection.ts";
import type { Host } from "./host.ts";
import type { ListenerSettings } from "./settings.ts";

interface SocketData {
  connection: Connection;
}

/** Smaller chunks are left to the collector. */
const RELEASED_BYTES_MIN = 2048;

/** Gives a chunk's memory back at once: otherwise garbage of chunks would be most of what the process holds. */
function release(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) buffer.transfer(0);
}

class TcpSocket implements Socket {
  private readonly socket: BunSocket<SocketData>;

  constructor(socket: BunSocket<SocketData>) {
    this.socket = socket;
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
}

export class Listener {
  readonly settings: ListenerSettings;
  private readonly server: TCPSocketListener<SocketData>;
  /** When the next connection may begin, on performance.now(). */
  private nextStartMs = 0;

  /** Listens at once; throws what Bun throws, with `code`, when it cannot. */
  constructor(settings: ListenerSettings, host: Host) {
    this.settings = settings;
    const delay = (socket: BunSocket<SocketData>) => this.delay(socket);
    this.server = Bun.listen<SocketData>({
      hostname: settings.host,
      port: settings.port,
      socket: {
        open(socket) {
          if (!host.hasPlace()) {
            socket.terminate();
            return;
          }
          const number = host.nextConnectionNumber();
          const connection = new Connection(
            host,
            settings,
            new TcpSocket(socket),
            number,
            socket.remoteAddress,
          );
          socket.data = { connection };
          host.opened(connection);
          if (settings.nextConnectionDelayMs > 0) delay(socket);
        },
        data(socket, chunk) {
          socket.data.connection.data(chunk);
          if (chunk.length >= RELEASED_BYTES_MIN) release(chunk);
        },
        drain(socket) {
          socket.data?.connection.drain();
        },
        close(socket) {
          socket.data?.connection.closed();
        },
        error(socket) {
          socket.data?.connection.closed();
        },
      },
    });
  }

  /** Connections begin one after another, `nextConnectionDelayMs` apart: until then the socket is not read. */
  private delay(socket: BunSocket<SocketData>): void {
    const now = performance.now();
    const start = Math.max(now, this.nextStartMs);
    this.nextStartMs = start + this.settings.nextConnectionDelayMs;
    if (start <= now) return;
    socket.data.connection.openedMs = start;
    socket.pause();
    setTimeout(() => socket.resume(), start - now);
  }

  get port(): number {
    return this.server.port;
  }

  /** No further connections; those that stand are not touched. */
  stop(): void {
    this.server.stop(false);
  }
}
