// The log's way out: it never waits, loses nothing that fits, and says what it dropped.

import { expect, test } from "bun:test";
import { LogOutput } from "../../src/config/logOutput.ts";

/** A descriptor whose reader can be told to stop and to fail. */
class Descriptor {
  text = "";
  /** Bytes that it still takes; none left is EAGAIN. */
  room = Number.POSITIVE_INFINITY;
  failure: string | null = null;

  write(bytes: Uint8Array): number {
    if (this.failure !== null) throw Object.assign(new Error(this.failure), { code: this.failure });
    const take = Math.min(bytes.length, this.room);
    if (take === 0) throw Object.assign(new Error("EAGAIN"), { code: "EAGAIN" });
    this.room -= take;
    this.text += Buffer.from(bytes.subarray(0, take)).toString();
    return take;
  }
}

function outputTo(descriptor: Descriptor): LogOutput {
  return new LogOutput(
    (bytes) => descriptor.write(bytes),
    (count) => `dropped ${count}\n`,
  );
}

test("lines go out at once and in order", () => {
  const descriptor = new Descriptor();
  const output = outputTo(descriptor);
  output.write("one\n");
  output.write("two\n");
  expect(descriptor.text).toBe("one\ntwo\n");
});

test("a reader that stops holds nobody up; lines follow whole when it goes on", () => {
  const descriptor = new Descriptor();
  const output = outputTo(descriptor);
  descriptor.room = 6;
  for (const line of ["one\n", "two\n", "three\n"]) output.write(line);
  expect(descriptor.text).toBe("one\ntw");
  descriptor.room = Number.POSITIVE_INFINITY;
  output.flush();
  expect(descriptor.text).toBe("one\ntwo\nthree\n");
});

test("what does not fit the queue is dropped, counted and told", () => {
  const descriptor = new Descriptor();
  const output = outputTo(descriptor);
  descriptor.room = 0;
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 1030; i++) output.write(line);
  descriptor.room = Number.POSITIVE_INFINITY;
  output.flush();
  expect(descriptor.text.length).toBe(1024 * 1024 + "dropped 6\n".length);
  expect(descriptor.text.endsWith("dropped 6\n")).toBe(true);
  output.write("later\n");
  expect(descriptor.text.endsWith("dropped 6\nlater\n")).toBe(true);
});

test("a full disk throws nothing; what it refused is counted when it takes lines again", () => {
  const descriptor = new Descriptor();
  const output = outputTo(descriptor);
  descriptor.failure = "ENOSPC";
  output.write("one\n");
  output.write("two\n");
  descriptor.failure = null;
  output.write("three\n");
  expect(descriptor.text).toBe("three\ndropped 2\n");
});
