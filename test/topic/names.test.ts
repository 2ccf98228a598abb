import { describe, expect, test } from "bun:test";
import { compileFilter } from "../../src/topic/filterMatcher.ts";
import { filterMatchesTopic, hasWildcard, parseTopicFilter } from "../../src/topic/topicFilter.ts";
import { topicNameHasWildcard, validTopicName } from "../../src/topic/topicName.ts";
import { TopicTree } from "../../src/topic/topicTree.ts";

const encoder = new TextEncoder();

const names: [statement: string, topic: string, valid: boolean][] = [
  ["MQTT-4.7.3-1", "", false],
  ["MQTT-4.7.3-1", "/", true],
  ["MQTT-4.7.3-1", " ", true],
  ["MQTT-4.7.3-2", "a\0b", false],
  ["MQTT-4.7.0-1", "a/+", false],
  ["MQTT-4.7.0-1", "a+b", false],
  ["MQTT-4.7.0-1", "#", false],
  ["MQTT-4.7.0-1", "a/b#", false],
  ["MQTT-4.7.0-1", "sensor/temperature", true],
  ["MQTT-4.7.0-1", "$SYS/broker", true],
  ["MQTT-4.7.0-1", "//é/水/🌊", true],
];

describe("Topic Name", () => {
  test.each(names)("[%s] %j valid: %p", (_statement, topic, valid) => {
    expect(validTopicName(topic)).toBe(valid);
    const bytes = encoder.encode(`+${topic}#`); // wildcards outside of the span do not count
    const wild = topic.includes("+") || topic.includes("#");
    expect(topicNameHasWildcard(bytes, 1, bytes.length - 1)).toBe(wild);
  });
});

const filters: [statement: string, text: string, filter: string | null, group: string | null][] = [
  ["MQTT-4.7.3-1", "", null, null],
  ["MQTT-4.7.3-2", "a/\0/b", null, null],
  ["MQTT-4.7.1-1", "#", "#", null],
  ["MQTT-4.7.1-1", "sport/tennis/#", "sport/tennis/#", null],
  ["MQTT-4.7.1-1", "/#", "/#", null],
  ["MQTT-4.7.1-1", "sport/tennis#", null, null],
  ["MQTT-4.7.1-1", "sport/tennis/#/ranking", null, null],
  ["MQTT-4.7.1-1", "#/a", null, null],
  ["MQTT-4.7.1-1", "##", null, null],
  ["MQTT-4.7.1-1", "#/#", null, null],
  ["MQTT-4.7.1-1", "+#", null, null],
  ["MQTT-4.7.1-2", "+", "+", null],
  ["MQTT-4.7.1-2", "+/tennis/#", "+/tennis/#", null],
  ["MQTT-4.7.1-2", "sport/+/player1", "sport/+/player1", null],
  ["MQTT-4.7.1-2", "/+", "/+", null],
  ["MQTT-4.7.1-2", "+/", "+/", null],
  ["MQTT-4.7.1-2", "sport+", null, null],
  ["MQTT-4.7.1-2", "+sport", null, null],
  ["MQTT-4.7.1-2", "a/b+/c", null, null],
  ["MQTT-4.7.1-2", "++", null, null],
  ["MQTT-4.7.1-2", "+/+x", null, null],
  ["MQTT-4.8.2-1", "$share/g/a/b", "a/b", "g"],
  ["MQTT-4.8.2-1", "$share//a", null, null],
  ["MQTT-4.8.2-1", "$share/", null, null],
  ["MQTT-4.8.2-1", "$share", "$share", null],
  ["MQTT-4.8.2-1", "$shared/g/a", "$shared/g/a", null],
  ["MQTT-4.8.2-2", "$share/g", null, null],
  ["MQTT-4.8.2-2", "$share/g/", null, null],
  ["MQTT-4.8.2-2", "$share/g//", "/", "g"],
  ["MQTT-4.8.2-2", "$share/+/a", null, null],
  ["MQTT-4.8.2-2", "$share/g+/a", null, null],
  ["MQTT-4.8.2-2", "$share/g#/a", null, null],
  ["MQTT-4.8.2-2", "$share/#", null, null],
  ["MQTT-4.8.2-2", "$share/g/a#", null, null],
  ["MQTT-4.8.2-2", "$share/g/#", "#", "g"],
  ["MQTT-4.8.2-2", "$share/g/+/x", "+/x", "g"],
  ["MQTT-4.7.3-2", "$share/g\0/a", null, null],
];

describe("Topic Filter", () => {
  test.each(filters)("[%s] %j → %j, group %j", (_statement, text, filter, group) => {
    expect(parseTopicFilter(text)).toEqual(filter === null ? null : { filter, group });
  });

  test("hasWildcard", () => {
    expect(hasWildcard("a/b")).toBe(false);
    expect(hasWildcard("a/+")).toBe(true);
    expect(hasWildcard("a/#")).toBe(true);
  });
});

const matches: [statement: string, filter: string, topic: string, matches: boolean][] = [
  ["MQTT-4.7.1-1", "sport/tennis/player1/#", "sport/tennis/player1", true],
  ["MQTT-4.7.1-1", "sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
  ["MQTT-4.7.1-1", "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["MQTT-4.7.1-1", "sport/tennis/player1/#", "sport/tennis/player10", false],
  ["MQTT-4.7.1-1", "sport/#", "sport", true],
  ["MQTT-4.7.1-1", "sport/#", "spor", false],
  ["MQTT-4.7.1-1", "sport/#", "sport/", true],
  ["MQTT-4.7.1-1", "#", "a", true],
  ["MQTT-4.7.1-1", "#", "/", true],
  ["MQTT-4.7.1-1", "/#", "a", false],
  ["MQTT-4.7.1-1", "/#", "/", true],
  ["MQTT-4.7.1-2", "sport/tennis/+", "sport/tennis/player1", true],
  ["MQTT-4.7.1-2", "sport/tennis/+", "sport/tennis/player1/ranking", false],
  ["MQTT-4.7.1-2", "sport/+", "sport", false],
  ["MQTT-4.7.1-2", "sport/+", "sport/", true],
  ["MQTT-4.7.1-2", "+/+", "/finance", true],
  ["MQTT-4.7.1-2", "/+", "/finance", true],
  ["MQTT-4.7.1-2", "+", "/finance", false],
  ["MQTT-4.7.1-2", "+/#", "a", true],
  ["MQTT-4.7.1-2", "+/+/#", "a", false],
  ["MQTT-4.7.1-2", "a/+/c", "a//c", true],
  ["MQTT-4.7.2-1", "#", "$SYS/uptime", false],
  ["MQTT-4.7.2-1", "+/monitor/Clients", "$SYS/monitor/Clients", false],
  ["MQTT-4.7.2-1", "+", "$", false],
  ["MQTT-4.7.2-1", "+/#", "$SYS", false],
  ["MQTT-4.7.2-1", "$SYS/#", "$SYS/uptime", true],
  ["MQTT-4.7.2-1", "$SYS/#", "$SYS", true],
  ["MQTT-4.7.2-1", "$SYS/monitor/+", "$SYS/monitor/Clients", true],
  ["MQTT-4.7.2-1", "a/+", "a/$b", true],
  ["MQTT-4.7.2-1", "/#", "/$SYS", true],
  ["MQTT-4.7.3-4", "ACCOUNTS", "Accounts", false],
  ["MQTT-4.7.3-4", "é", "e\u0301", false],
  ["MQTT-4.7.3-4", "水/+/🌊", "水/é/🌊", true],
  ["MQTT-4.7.3-4", "a", "a/", false],
  ["MQTT-4.7.3-4", "a/", "a", false],
  ["MQTT-4.7.3-4", "a/b", "a/bc", false],
];

describe("matching", () => {
  test.each(matches)("[%s] %j against %j: %p", (_statement, filter, topic, expected) => {
    expect(filterMatchesTopic(filter, topic)).toBe(expected);

    const bytes = encoder.encode(`$/${topic}/x`);
    expect(compileFilter(filter).matches(bytes, 2, bytes.length - 2)).toBe(expected);

    const tree = new TopicTree();
    const id = tree.insert(filter);
    const out: number[] = [];
    expect(tree.match(topic, out)).toBe(expected ? 1 : 0);
    expect(out).toEqual(expected ? [id] : []);
  });
});
