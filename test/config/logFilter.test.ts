// The filter of the log: what it reads, what it wants.

import { describe, expect, test } from "bun:test";
import { LOG_RANKS, shown } from "../../src/base/logger.ts";
import { LogFilter } from "../../src/config/logFilter.ts";

const { all, trace, debug, info, warn, off } = LOG_RANKS;
const about = (client: string, topic?: string) => ({ client_id: client, topic });

describe("a log filter", () => {
  const rows: readonly (readonly [string, Record<string, unknown>, number])[] = [
    ["info", {}, info],
    ["INFO", {}, info],
    ["off", {}, off],
    ["millrace=warn", {}, warn],
    ["rumqttd=debug", {}, debug],
    ["warn,debug", {}, debug],
    ["[{client_id=a}]=debug", {}, info],
    ["[{client_id=a}]=debug", about("a"), debug],
    ["[{client_id=a}]=debug", about("ab"), info],
    ["millrace=warn,[{client_id=a}]=trace", about("a"), trace],
    ["millrace=warn,[{client_id=a}]=trace", about("b"), warn],
    ["millrace[{client_id=a}]=debug", about("a"), debug],
    ["info,[{client_id=a}]=error", about("a"), info],
    ['[{client_id="a, b"}]=debug', about("a, b"), debug],
    ['[{client_id="a b"}]=debug', about("a b"), debug],
    ["[{client_id=a=b}]=debug", about("a=b"), debug],
    ["[{topic=plant/+}]=debug", about("x", "plant/1"), debug],
    ["[{topic=plant/+}]=debug", about("x", "plant/1/2"), info],
    ["[{topic=plant/#,client_id=x}]=debug", about("x", "plant/1/2"), debug],
    ["[{topic=plant/#,client_id=x}]=debug", about("y", "plant/1/2"), info],
    ["[{topic=plant/#}]=debug", about("y"), info],
    [" info , [{username=ann}]=debug ", { username: "ann" }, debug],
    ["[{user=ann}]=debug", { username: "ann" }, debug],
    ["[{connection_id=7}]=debug", { connection_id: 7 }, debug],
    ["[{client_id=a}]=all", about("a"), all],
    [`[{client_id=${"n".repeat(300)}}]=debug`, about(shown("n".repeat(300)) ?? ""), debug],
    ["[{remote=192.0.2.1}]=debug", { remote: "192.0.2.1" }, debug],
  ];
  test.each(rows)("%s about %j wants %p", (text, fields, rank) => {
    expect(new LogFilter(text).rankOf(fields)).toBe(rank as typeof info);
  });

  test("about any topic: what may be wanted once the topic is known", () => {
    const filter = new LogFilter("warn,[{topic=a/#,client_id=x}]=debug");
    expect(filter.rankOfAnyTopic(about("x"))).toBe(debug);
    expect(filter.rankOfAnyTopic(about("y"))).toBe(warn);
    expect(filter.least).toBe(debug);
  });

  test.each([
    ["", "a level is the least"],
    [" , ", "a level is the least"],
    ["verbose", "a directive is"],
    ["millrace=verbose", "verbose is no level"],
    ["broker=info", "the target is millrace"],
    ["millrace::router=info", "the target is millrace"],
    ["[span]=info", "spans have no names"],
    ["[{}]=info", "braces hold FIELD=VALUE"],
    ["[{client=a}]=info", "fields are client_id"],
    ["[{client_id}]=info", "fields are client_id"],
    ["[{topic=a/#/b}]=info", "no Topic Filter"],
    ["[{topic=$share/g/a}]=info", "no Topic Filter"],
    ["[{client_id=a}]", "a directive is"],
    ["toString=info", "the target is"],
    [Array(65).fill("info").join(), "at most 64 directives"],
    ["x".repeat(8193), "at most 8192 characters"],
  ])("%s is refused: %s", (text, reason) => {
    expect(() => new LogFilter(text)).toThrow(reason);
  });
});
