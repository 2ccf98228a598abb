// `millrace passwd FILE USER`: adds, changes and deletes users of a password file.

import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { FileError, isFileUserName, parsePasswordFile, withoutUser, withUser } from "../auth/passwordFile.ts";
import { changeFile, FileLocked } from "../auth/passwordFileStore.ts";
import { HASH_NAMES, type HashName, hashPassword } from "../auth/passwordHash.ts";
import { SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN } from "../auth/scram.ts";
import { CommandError } from "./end.ts";
import { readSecret } from "./secretInput.ts";

interface Flags {
  readonly password?: string;
  readonly create?: true;
  readonly delete?: true;
  readonly hash: readonly HashName[];
  readonly iterations?: number;
}

const HELP = `
The password is asked for twice and not shown; where standard input is no terminal it is its first
line.

Hashes:
  argon2id        the strongest of these; the default
  bcrypt
  pbkdf2-sha512   mosquitto reads it too ($7$)
  sha512          mosquitto 1.6 reads it too ($6$); too quick to be safe
  scram-sha-256   for clients that authenticate with SCRAM; others may use the password as usual
  scram-sha-512
Several are kept side by side: --hash argon2id,scram-sha-256. A new password replaces them all.

Examples:
  millrace passwd -c users alice                       a new file with one user
  millrace passwd users bob < bob.secret
  millrace passwd -D users bob
  millrace passwd --hash pbkdf2-sha512 users carl      for mosquitto and Millrace

The file is replaced in one step, its mode and owner stay; a new one is for its owner alone. A
running broker takes the change on SIGHUP or by itself.

Exit status: 0 done; 1 nothing was changed, and standard error says why; 130 interrupted.
`;

export function register(command: Command): void {
  command
    .argument("<file>", "password file")
    .argument("<user>", "user name")
    .option("-b, --password <password>", "the password; other users of this machine may see it")
    .option("-c, --create", "make the file; it must not be there yet")
    .option("-D, --delete", "delete the user")
    .addOption(
      new Option("--hash <names>", "one or more, commas between them")
        .choices(HASH_NAMES)
        .argParser(hashNames)
        .default(["argon2id"], "argon2id"),
    )
    .option("--iterations <count>", "for pbkdf2-sha512 (210000) and scram-sha-… (15000)", iterationCount)
    .addHelpText("after", HELP)
    .action(async (file: string, user: string, flags: Flags) => {
      if (flags.delete) deleteUser(file, user, flags);
      else await setUser(file, user, flags);
    });
}

function hashNames(text: string): HashName[] {
  return text.split(",").map((name) => {
    const known = HASH_NAMES.find((candidate) => candidate === name);
    if (known === undefined) throw new InvalidArgumentError(`Allowed choices are ${HASH_NAMES.join(", ")}.`);
    return known;
  });
}

function iterationCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > SCRAM_ITERATIONS_MAX)
    throw new InvalidArgumentError(`It must be from 1 to ${SCRAM_ITERATIONS_MAX}.`);
  return count;
}

async function setUser(
  file: string,
  user: string,
  { password, create, hash, iterations }: Flags,
): Promise<void> {
  if (!isFileUserName(user))
    throw new CommandError(
      "a user name has no colon and no control character, begins with no # and ends in no space",
    );
  if (
    iterations !== undefined &&
    iterations < SCRAM_ITERATIONS_MIN &&
    hash.some((name) => name.startsWith("scram"))
  )
    throw new CommandError(`SCRAM needs at least ${SCRAM_ITERATIONS_MIN} iterations`);
  const plain = hash.filter((name) => !name.startsWith("scram"));
  if (plain.length > 1)
    throw new CommandError(`a user has one hash beside those for SCRAM, not ${plain.join(" and ")}`);
  // Asked before the password is; the change itself asks again.
  checkThere(file, existsSync(file), create);
  const secret = password ?? (await readSecret(`Password of ${user}`));
  if (secret === "") throw new CommandError("a password must not be empty; nothing was changed");
  const hashes: string[] = [];
  for (const name of hash) {
    const text = await hashPassword(name, secret, iterations);
    if (text === null)
      throw new CommandError("SCRAM takes no password with control characters; nothing was changed");
    hashes.push(text);
  }
  change(file, (old) => {
    checkThere(file, old !== null, create);
    const [first = "", ...more] = hashes;
    return more.reduce((text, next) => withUser(text, user, next, true), withUser(old ?? "", user, first));
  });
}

function checkThere(file: string, isThere: boolean, create: true | undefined): void {
  if (create && isThere)
    throw new CommandError(`${file} is there already; without --create the user is added to it`);
  if (!create && !isThere) throw new CommandError(`${file} is not there; --create makes it`);
}

function deleteUser(file: string, user: string, { password, create }: Flags): void {
  if (password !== undefined || create)
    throw new CommandError("--delete goes with neither --create nor a password");
  change(file, (old) => {
    if (old === null) throw new CommandError(`${file} is not there`);
    const text = withoutUser(old, user);
    if (text === null) throw new CommandError(`${file} has no user ${JSON.stringify(user)}`);
    return text;
  });
}

function change(file: string, edit: (text: string | null) => string): void {
  try {
    changeFile(file, (old) => {
      const text = edit(old);
      warnOf(text, file);
      return text;
    });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof FileLocked) throw new CommandError(error.message);
    const { code } = error as { code?: unknown };
    if (typeof code === "string") throw new CommandError(`${file}: cannot be written: ${code}`);
    throw error;
  }
}

/** The change is made all the same: perhaps it is one of several that put the file right. */
function warnOf(text: string, file: string): void {
  try {
    parsePasswordFile(text, file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    process.stderr.write(`${error.message}\nmillrace: the broker will not take the file as it is\n`);
  }
}
