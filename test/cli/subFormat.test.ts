// Output formats of `sub`: what mosquitto_sub cannot be compared with, and strftime against the system's own.

import { describe, expect, test } from "bun:test";
import { CommandError } from "../../src/cli/end.ts";
import type { Message } from "../../src/cli/mqtt/client.ts";
import { type Moment, strftime } from "../../src/cli/strftime.ts";
import { parseFormat } from "../../src/cli/subFormat.ts";

const MOMENT: Moment = { date: new Date(2026, 0, 2, 3, 4, 5), nanoseconds: 6_007_000 };

function message(fields: Partial<Message>): Message {
  return { cmd: "publish", topic: "a/b", payload: "x", qos: 0, retain: false, dup: false, ...fields };
}

function formatted(format: string, fields: Partial<Message> = {}, pretty = false): string | null {
  return parseFormat(format, pretty, "\n")(message(fields), MOMENT)?.toString() ?? null;
}

describe("formats", () => {
  const rows: readonly (readonly [format: string, fields: Partial<Message>, wanted: string])[] = [
    ["%20x|", { payload: "x" }, `${" ".repeat(18)}78|\n`],
    ["%-6X|", { payload: Buffer.from([0xab]) }, "AB    |\n"],
    ["%04x", { payload: "payload" }, "7061796c6f6164\n"],
    ["%.3p", { payload: "payload" }, "payload\n"],
    ["%.t|", {}, "|\n"],
    ["%S", { properties: { subscriptionIdentifier: [7, 300] } }, "7 300\n"],
    ["%P", { properties: { userProperties: { k: ["v1", "v2"], l: "w" } } }, "k:v1 k:v2 l:w\n"],
    ["%U", {}, `${MOMENT.date.getTime() / 1000}.006007000\n`],
  ];
  for (const [format, fields, wanted] of rows) {
    test(format, () => expect(formatted(format, fields)).toBe(wanted));
  }

  test("%J takes a payload's digits as they are, and refuses what is no JSON", () => {
    expect(formatted("%J", { payload: '{"n":12345678901234567890}' })).toContain(
      '"payload":{"n":12345678901234567890}}',
    );
    expect(formatted("%J", { payload: "no JSON" })).toBeNull();
    expect(formatted("%J", { payload: Buffer.from([0x22, 0xff, 0x22]) })).toBeNull();
    expect(formatted("%J", { payload: "[1,2]" }, true)).toContain('  "payload": [\n    1,\n    2\n  ]\n}');
  });

  test("%j is always JSON, whatever the payload", () => {
    const fields = (payload: Buffer | string, properties?: Message["properties"]): Record<string, unknown> =>
      JSON.parse(formatted("%j", { payload, ...(properties && { properties }) }) ?? "") as Record<
        string,
        unknown
      >;
    expect(fields(Buffer.from([0xff, 0xfe, 0]))).toMatchObject({
      payload: null,
      payload_base64: "//4A",
      payloadlen: 3,
    });
    expect(fields(Buffer.from([0, 1, 0x22, 0x5c]))).toMatchObject({ payload: '\0\u0001"\\' });
    expect(fields("")).toMatchObject({ payload: null, payloadlen: 0 });
    expect(fields("x", { userProperties: { k: ["v1", "v2"], l: "w" } })["properties"]).toEqual({
      "user-properties": { k: ["v1", "v2"], l: "w" },
    });
  });

  for (const [format, problem] of [
    ["%q %z", "%z stands for nothing"],
    ["50 %", "a letter is missing behind %"],
    ["%5.", "a letter is missing behind %5."],
    [String.raw`\q`, String.raw`\q is no escape`],
    ["@", "nothing follows the last @"],
    ["\\", "nothing follows the last \\"],
  ] as const) {
    test(`${format} is refused`, () => {
      expect(() => parseFormat(format, false, "\n")).toThrow(CommandError);
      expect(() => parseFormat(format, false, "\n")).toThrow(`-F: ${problem}`);
    });
  }
});

describe("strftime", () => {
  const FORMAT =
    "%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %k %l %m %M %p %P %r %R %s %S %T %u %U %V %w %W %x %X %y %Y %z";
  const DATE = Bun.which("date");

  test.skipIf(DATE === null || process.platform !== "linux")("agrees with date(1) on many days", () => {
    const days = Array.from(
      { length: 60 },
      (_, at) => new Date(2019 + (at % 15), (at * 5) % 12, 1 + ((at * 11) % 31), at % 24),
    );
    const years = Array.from({ length: 28 }, (_, at) => [
      new Date(2000 + at, 0, 1),
      new Date(2000 + at, 11, 31, 23),
    ]);
    for (const date of [...days, ...years.flat()]) {
      const at = `@${Math.floor(date.getTime() / 1000)}`;
      const { stdout } = Bun.spawnSync([DATE!, "-d", at, `+${FORMAT}`], {
        env: { ...process.env, LC_ALL: "C" },
      });
      expect(`${strftime(FORMAT, { date, nanoseconds: 0 })}\n`).toBe(stdout.toString());
    }
  });

  test("leaves what it does not know", () => {
    expect(strftime("%Q %% %n%t|%N", MOMENT)).toBe("%Q % \n\t|006007000");
  });
});
