// `millrace pub`: publishes from the command line, a file or standard input, the way mosquitto_pub does.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { QoS } from "../packet/protocol.ts";
import { validTopicName } from "../topic/topicName.ts";
import {
  addSessionOptions,
  clientTerms,
  connectTerms,
  qosOption,
  type SessionFlags,
  topicProblem,
  warner,
} from "./clientOptions.ts";
import { CommandError } from "./end.ts";
import { PAYLOAD_BYTES_MAX, stdinLines, tooLong, wholeStdin } from "./lines.ts";
import type { Message } from "./mqtt/client.ts";
import { type GivenProperties, joinProperties, readProperties } from "./mqtt/properties.ts";
import { Outbox } from "./outbox.ts";
import { decimal, integer, utf8 } from "./values.ts";

interface Flags extends SessionFlags {
  readonly topic?: string;
  readonly message?: string;
  readonly file?: string;
  readonly stdinLine?: true;
  readonly stdinFile?: true;
  readonly nullMessage?: true;
  readonly qos: QoS;
  readonly retain?: true;
  readonly repeat: number;
  readonly repeatDelay: number;
}

const REPEAT_MAX = 2 ** 31 - 1;
const DELAY_S_MAX = 86_400;

const EXAMPLES = `
Examples:
  millrace pub -t plant/1/state -m running                   one message
  millrace pub -t plant/1/state -m running -q 1 -r           acknowledged, and retained
  sensor | millrace pub -t plant/1/heat -l                   a message for each line
  millrace pub -t plant/1/image -f picture.jpg               the contents of a file
  millrace pub -t plant/1/state -n -r                        clears the retained message
  millrace pub -t plant/1/heat -m 21 -D publish user-property unit °C    an MQTT 5 property
  millrace pub -L mqtts://anna@broker/plant/1/state -m stop  TLS, the password in MILLRACE_PASSWORD

Exit status: 0 published, and with QoS 1 and 2 acknowledged; 1 a wrong option, or no connection;
7 the connection was lost; else the code with which the broker refused the connection or a message.
`;

export function rewrite(args: readonly string[]): string[] {
  return joinProperties(args);
}

export function register(command: Command): void {
  command
    .usage("-t <topic> (-m <text> | -f <file> | -l | -s | -n) [options]")
    .optionsGroup("Message:")
    .option("-t, --topic <topic>", "where to publish", utf8)
    .option("-m, --message <text>", "this text")
    .option("-f, --file <file>", "the contents of this file")
    .option("-l, --stdin-line", "each line of standard input; connects again when the connection is lost")
    .option("-s, --stdin-file", "all of standard input")
    .option("-n, --null-message", "nothing, which clears what is retained with -r")
    .addOption(qosOption("-q, --qos <qos>", "Quality of Service"))
    .option("-r, --retain", "for those who subscribe later too")
    .option("--repeat <n>", "publish so many times (not with -l)", integer(1, REPEAT_MAX), 1)
    .option("--repeat-delay <s>", "seconds between, fractions allowed", decimal(0, DELAY_S_MAX), 0);
  addSessionOptions(command).addHelpText("after", EXAMPLES).action(publish);
}

async function publish(flags: Flags): Promise<void> {
  const given = readProperties(flags.property ?? [], ["connect", "publish", "disconnect", "will"]);
  const template = templateOf(flags, given.publish);
  const payload = await payloadOf(flags);
  const outbox = await Outbox.open({
    client: clientTerms(flags, "pub", given),
    retries: payload === undefined,
    warn: warner(flags),
  });
  await Promise.race([outbox.broken, publishAll(outbox, template, payload, flags)]);
  await outbox.close(given.disconnect);
  process.exitCode = outbox.refusedWith;
}

/** Resolves when the broker has all of it. */
async function publishAll(
  outbox: Outbox,
  template: Message,
  payload: Buffer | undefined,
  { repeat, repeatDelay }: Flags,
): Promise<void> {
  if (payload === undefined) {
    for await (const lines of stdinLines()) {
      for (const line of lines) {
        const message = { ...template, payload: line };
        if (!outbox.tryPut(message)) await outbox.put(message);
      }
    }
    return await outbox.empty();
  }
  for (let sent = 1; sent <= repeat; sent++) {
    if (sent > 1 && repeatDelay > 0) await Bun.sleep(repeatDelay * 1000);
    await outbox.put({ ...template, payload });
    if (repeatDelay > 0) await outbox.empty();
  }
  await outbox.empty();
}

function templateOf(flags: Flags, properties: GivenProperties): Message {
  const topic = flags.topic ?? connectTerms(flags).topic;
  if (topic === undefined) throw new CommandError("a topic is missing: say where to publish with -t");
  if (!validTopicName(topic)) throw new CommandError(topicProblem("-t", topic));
  return {
    cmd: "publish",
    topic,
    qos: flags.qos,
    retain: flags.retain === true,
    dup: false,
    payload: "",
    ...((flags.protocolVersion ?? 5) === 5 && { properties }),
  };
}

/** What is published; undefined when it is the lines of standard input. */
async function payloadOf(flags: Flags): Promise<Buffer | undefined> {
  const { message, file, stdinLine, stdinFile, nullMessage } = flags;
  const sources = [message, file, stdinLine, stdinFile, nullMessage].filter((source) => source !== undefined);
  if (sources.length !== 1) throw new CommandError("say what to publish with one of -m, -f, -l, -s and -n");
  if (stdinLine && flags.repeat > 1) throw new CommandError("--repeat does not go with -l");
  if (stdinLine) return undefined;
  if (stdinFile) return wholeInput();
  if (file !== undefined) return contents(file);
  return Buffer.from(message ?? "");
}

/** A program that failed upstream leaves nothing, which would clear what is retained. */
async function wholeInput(): Promise<Buffer> {
  const bytes = await wholeStdin();
  if (bytes.length === 0)
    throw new CommandError("standard input is empty: -n publishes a message without a payload");
  return bytes;
}

function contents(file: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CommandError(`-f ${file}: ${error instanceof Error ? error.message : error}`);
  }
  if (bytes.length > PAYLOAD_BYTES_MAX) throw tooLong(file);
  return bytes;
}
