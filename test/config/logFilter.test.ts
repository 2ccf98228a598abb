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
    ["rumqttd::router=debug", {}, debug],
    ["rumqttd::router::routing=warn", {}, warn],
    ["millrace::router=debug", {}, debug],
    ["info,rumqttd::router=debug", {}, debug],
    ["rumqttd=info,rumqttd::link::remote=trace", {}, trace],
    ["rumqttd::router[{client_id=a}]=debug", about("a"), debug],
    ["rumqttd::router[{client_id=a}]=debug", about("b"), info],
    ["[incoming_publish{client_id=a}]=debug", about("a"), debug],
    ["rumqttd", {}, trace],
    ["[{client_id=a}]", about("a"), trace],
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

  const more = "modules are not told apart: this is about all of Millrace";
  test.each([
    ["info", []],
    ["rumqttd=info", []],
    ["rumqttd::router=debug", [`rumqttd::router=debug: ${more}`]],
    ["info,rumqttd::a=debug,millrace::b=warn", [`rumqttd::a=debug: ${more}`, `millrace::b=warn: ${more}`]],
    ["rumqttd", ["rumqttd: no level is given: that is trace"]],
    [
      "[incoming_publish{client_id=a}]=debug",
      [
        "[incoming_publish{client_id=a}]=debug: spans are not told apart: this is about all lines with these fields",
      ],
    ],
  ])("%s says where it is taken as more than it says", (text, notices) => {
    expect(new LogFilter(text).notices).toEqual(notices);
  });

  test.each([
    ["", "a level is the least"],
    [" , ", "a level is the least"],
    ["verbose", "a directive is"],
    ["millrace=verbose", "verbose is no level"],
    ["broker=info", "the target is millrace"],
    ["rumqttdx::router=info", "the target is millrace or rumqttd"],
    ["hyper", "a directive is"],
    ["[span]=info", "spans have no names"],
    ["[{}]=info", "braces hold FIELD=VALUE"],
    ["[{client=a}]=info", "fields are client_id"],
    ["[{client_id}]=info", "fields are client_id"],
    ["[{topic=a/#/b}]=info", "no Topic Filter"],
    ["[{topic=$share/g/a}]=info", "no Topic Filter"],
    ["[span]", "a directive is"],
    ["toString=info", "the target is"],
    [Array(65).fill("info").join(), "at most 64 directives"],
    ["x".repeat(8193), "at most 8192 characters"],
  ])("%s is refused: %s", (text, reason) => {
    expect(() => new LogFilter(text)).toThrow(reason);
  });
});
