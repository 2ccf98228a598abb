// Congestion control of connections from this machine. bbr paces what each socket sends by a timer, and between
// processes of one machine there is no network to spare: a fan-out loses a third of its rate to it. Where it is the
// system's default, sockets of a listener begin with reno, which sends what its window allows, and those that come
// from elsewhere are given the default before anything is sent. Bun names no such option, so libc is asked; where that
// cannot be done, all stays as the system has it.

import { dlopen, FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { isLoopbackAddress, plainAddress } from "./address.ts";

const DEFAULT_FILE = "/proc/sys/net/ipv4/tcp_congestion_control";
const PACING = /^bbr/;
const UNPACED = "reno"; // in every kernel, and allowed to everybody

// <netinet/tcp.h> of Linux
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

/** Gives the socket another congestion control; false when the system does not. */
export type SetCongestion = (descriptor: number, name: string) => boolean;

/** Where a connection comes from and goes to, as the socket names it; one that is gone again may name nothing. */
interface Ends {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
}

export class Congestion {
  private readonly system: string;
  private readonly set: SetCongestion;

  /** `system` is the name of the system's default. */
  constructor(system: string, set: SetCongestion) {
    this.system = system;
    this.set = set;
  }

  /** The listening socket's connections begin unpaced from now on. False: they have the system's default. */
  listening(server: object): boolean {
    return this.set(descriptorOf(server), UNPACED);
  }

  /** A connection of such a socket has come, and nothing has been sent yet. */
  accepted(socket: Ends): void {
    const remote = plainAddress(socket.remoteAddress ?? "");
    if (isLoopbackAddress(remote) || remote === plainAddress(socket.localAddress ?? "")) return;
    this.set(descriptorOf(socket), this.system);
  }
}

/** Bun's sockets have it, its types do not. */
function descriptorOf(socket: object): number {
  return (socket as { readonly fd?: number }).fd ?? -1;
}

/** Null where the system's default does not pace, or cannot be changed. */
export function congestionOf(system: string | null, open = openLibc): Congestion | null {
  if (system === null || !PACING.test(system)) return null;
  const set = open();
  return set === null ? null : new Congestion(system, set);
}

/** The name of the system's default; null when it tells none. */
export function systemCongestion(): string | null {
  try {
    return readFileSync(DEFAULT_FILE, "ascii").trim();
  } catch {
    return null; // it is not Linux
  }
}

function openLibc(): SetCongestion | null {
  const { i32, u32, ptr } = FFIType;
  const functions = { setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 } } as const;
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${arch}.so.1`]) {
    try {
      const { setsockopt } = dlopen(name, functions).symbols;
      return (descriptor, congestion) => {
        const value = Buffer.from(congestion);
        return setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, value, value.length) === 0;
      };
    } catch {
      // the next name
    }
  }
  return null;
}
