// A broker that misbehaves as it is told, to see what the clients of the command line make of it.

import { generate, type Packet, parser } from "mqtt-packet";

export type Behaviour =
  /** Answers everything. */
  | "good"
  /** CONNACK: not authorized. */
  | "refuses"
  /** PUBACK, PUBREC and SUBACK: not authorized. */
  | "forbids"
  /** PUBACK and PUBREC: not authorized. */
  | "rejects"
  /** The connection is closed when a PUBLISH comes. */
  | "drops"
  /** DISCONNECT 0x95, Packet too large, when a PUBLISH comes. */
  | "disconnects"
  /** SUBSCRIBE is not answered. */
  | "forgets"
  /** Nothing is answered. */
  | "silent"
  /** What is answered is no MQTT. */
  | "garbles"
  /** Of each PUBLISH a copy goes to every subscriber, but for every tenth. */
  | "loses"
  /** The same, but every tenth twice. */
  | "doubles"
  /** The same, but every tenth changes places with the next. */
  | "shuffles";

const NOT_AUTHORIZED = 0x87;
const TOO_LARGE = 0x95;
const FAILURE = 0x80;
const EVERY = 10;

interface Peer {
  readonly parse: (chunk: Buffer) => void;
}

export interface FakeBroker {
  readonly port: number;
  stop(): void;
}

export function startFakeBroker(behaviour: Behaviour): FakeBroker {
  const subscribers = new Set<(packet: Packet) => void>();
  let published = 0;
  let held: Packet | null = null;

  function deliver(packet: Packet): void {
    for (const send of subscribers) send(packet);
  }

  function relay(packet: Packet): void {
    const isTenth = ++published % EVERY === 0;
    if (isTenth && behaviour === "loses") return;
    if (isTenth && behaviour === "shuffles") {
      held = packet;
      return;
    }
    deliver(packet);
    if (isTenth && behaviour === "doubles") deliver(packet);
    if (held !== null) deliver(held);
    held = null;
  }

  const server = Bun.listen<Peer | undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        let version = 4;
        const codec = parser({});
        const send = (packet: Packet): void =>
          void socket.write(generate(packet, { protocolVersion: version }));
        const isV5 = (): boolean => version === 5;
        codec.on("packet", (packet) => {
          if (behaviour === "silent") return;
          if (behaviour === "garbles") return void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
          switch (packet.cmd) {
            case "connect": {
              version = packet.protocolVersion ?? 4;
              const code = behaviour !== "refuses" ? 0 : isV5() ? NOT_AUTHORIZED : 5;
              send({
                cmd: "connack",
                sessionPresent: false,
                ...(isV5() ? { reasonCode: code } : { returnCode: code }),
              });
              return;
            }
            case "subscribe": {
              if (behaviour === "forgets") return;
              const refused = behaviour === "forbids";
              const code = !refused ? 0 : isV5() ? NOT_AUTHORIZED : FAILURE;
              if (!refused) subscribers.add(send);
              send({
                cmd: "suback",
                messageId: packet.messageId!,
                granted: packet.subscriptions.map(() => code),
              });
              return;
            }
            case "publish": {
              if (behaviour === "drops") return void socket.end();
              if (behaviour === "disconnects") {
                if (isV5()) send({ cmd: "disconnect", reasonCode: TOO_LARGE });
                return void socket.end();
              }
              const reasonCode = behaviour === "forbids" || behaviour === "rejects" ? NOT_AUTHORIZED : 0;
              if (packet.qos === 1) send({ cmd: "puback", messageId: packet.messageId!, reasonCode });
              if (packet.qos === 2) send({ cmd: "pubrec", messageId: packet.messageId!, reasonCode });
              relay(packet);
              return;
            }
            case "pubrec":
              return send({ cmd: "pubrel", messageId: packet.messageId! });
            case "pubrel":
              return send({ cmd: "pubcomp", messageId: packet.messageId! });
            default:
          }
        });
        codec.on("error", () => socket.end());
        socket.data = { parse: (chunk) => void codec.parse(chunk) };
      },
      data: (socket, chunk) => socket.data?.parse(chunk),
      close: () => {},
      error: () => {},
    },
    data: undefined,
  });
  return { port: server.port, stop: () => server.stop(true) };
}
