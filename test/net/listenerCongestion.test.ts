// Congestion control: who gets the system's default, and who what does not pace.

import { dlopen, FFIType } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Congestion, congestionOf } from "../../src/net/listenerCongestion.ts";

interface Set {
  readonly descriptor: number;
  readonly name: string;
}

function recorded(answer = true): { congestion: Congestion; sets: Set[] } {
  const sets: Set[] = [];
  const congestion = new Congestion("bbr", (descriptor, name) => {
    sets.push({ descriptor, name });
    return answer;
  });
  return { congestion, sets };
}

test("a listening socket's connections begin with what does not pace", () => {
  const { congestion, sets } = recorded();
  expect(congestion.listening({ fd: 7 })).toBe(true);
  expect(sets).toEqual([{ descriptor: 7, name: "reno" }]);
});

test("where the system refuses, its default stays", () => {
  const { congestion } = recorded(false);
  expect(congestion.listening({ fd: 7 })).toBe(false);
});

describe("a connection", () => {
  const rows = [
    { from: "127.0.0.1", to: "127.0.0.1", isLocal: true },
    { from: "127.8.9.10", to: "127.0.0.1", isLocal: true },
    { from: "::1", to: "::1", isLocal: true },
    { from: "::ffff:127.0.0.1", to: "::ffff:127.0.0.1", isLocal: true },
    { from: "192.0.2.7", to: "192.0.2.7", isLocal: true },
    { from: "::ffff:192.0.2.7", to: "192.0.2.7", isLocal: true },
    { from: "192.0.2.8", to: "192.0.2.7", isLocal: false },
    { from: "2001:db8::1", to: "2001:db8::2", isLocal: false },
    { from: undefined, to: undefined, isLocal: true },
    { from: "127.example", to: "192.0.2.7", isLocal: false },
  ];
  for (const { from, to, isLocal } of rows) {
    test(`from ${from} to ${to} ${isLocal ? "stays unpaced" : "gets the system's default"}`, () => {
      const { congestion, sets } = recorded();
      const socket = { fd: 9, remoteAddress: from, localAddress: to };
      congestion.accepted(socket);
      expect(sets).toEqual(isLocal ? [] : [{ descriptor: 9, name: "bbr" }]);
    });
  }
});

describe("the system's default", () => {
  const set = (): boolean => true;
  for (const [system, isChanged] of [
    ["bbr", true],
    ["bbr2", true],
    ["cubic", false],
    ["reno", false],
    [null, false],
  ] as const) {
    test(`${system} is ${isChanged ? "not what connections of this machine get" : "left alone"}`, () => {
      let opened = 0;
      const congestion = congestionOf(system, () => {
        opened++;
        return set;
      });
      expect(congestion !== null).toBe(isChanged);
      expect(opened).toBe(isChanged ? 1 : 0);
    });
  }

  test("is left alone where libc cannot be asked", () => {
    expect(congestionOf("bbr", () => null)).toBeNull();
  });
});

/** What the kernel says of the socket: IPPROTO_TCP, TCP_CONGESTION. */
function congestionName(socket: object): string {
  const { i32, ptr } = FFIType;
  const { getsockopt } = dlopen("libc.so.6", {
    getsockopt: { args: [i32, i32, i32, ptr, ptr], returns: i32 },
  }).symbols;
  const name = Buffer.alloc(16);
  expect(getsockopt((socket as { fd: number }).fd, 6, 13, name, new Uint32Array([name.length]))).toBe(0);
  return name.toString("ascii").replace(/\0.*$/s, "");
}

const isGlibc = process.platform === "linux" && existsSync("/proc/sys/net/ipv4/tcp_congestion_control");

test.if(isGlibc)(
  "the kernel gives a connection from this machine what its listening socket has",
  async () => {
    const congestion = congestionOf("bbr")!;
    const seen: string[] = [];
    let done = (): void => {};
    const accepted = new Promise<void>((resolve) => {
      done = resolve;
    });
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          congestion.accepted(socket);
          seen.push(congestionName(socket));
          done();
        },
        data() {},
      },
    });
    expect(congestion.listening(server)).toBe(true);
    const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
    await accepted;
    client.terminate();
    server.stop(true);
    expect(seen).toEqual(["reno"]);
  },
);
