// Who has not been let in yet holds memory of a budget of its own: what clients may have is not less for it.

import { expect } from "bun:test";
import { connect } from "node:net";
import { wireSuite } from "../support/suite.ts";

const MIB = 1024 * 1024;
const wire = wireSuite({ router: { memoryBytes: 16 * MIB } });

wire(
  "half a large CONNECT from each of many strangers does not keep a client from sending",
  async ({ port, client, name }) => {
    const publisher = await client(5);
    const strangers = Array.from({ length: 40 }, () => {
      const socket = connect(port, "127.0.0.1", () => {
        // CONNECT of 200,000 bytes: one more than comes.
        socket.write(
          Buffer.concat([Buffer.from("10c09a0c00044d5154540502003c00", "hex"), Buffer.alloc(199_984)]),
        );
      });
      socket.on("error", () => {});
      return { socket, closed: new Promise((resolve) => socket.on("close", resolve)) };
    });
    // All but those that the budget holds are refused.
    await Promise.race(strangers.map(({ closed }) => closed));
    for (const _ of [1, 2, 3]) await publisher.publish(name("large"), Buffer.alloc(MIB), { qos: 1 });
    for (const { socket } of strangers) socket.destroy();
    expect(publisher.version).toBe(5);
  },
);
