#!/usr/bin/env node
/** plada-inspect: what a payload holds, as JSON or CSV. */

import { readFileSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { decode, type DecodeOptions, inspect, PladaError, type Zstd } from "./index.js";

const USAGE = `usage: plada-inspect [options] FILE
Checks a plada payload and prints what it holds as JSON.

  --header             read the header only
  --csv                print index,label lines instead
  --pool-size N        size of your pool
  --fingerprint HEX    fingerprint of your pool
  --groups FILE        JSON array: the first image of each of the pool's groups
  --help               this text

Exit status: 0 accepted, 1 rejected, 2 wrong usage.`;

class UsageError extends Error {}

async function optionalZstd(): Promise<Zstd | undefined> {
  try {
    return (await import("./fzstd.js")).zstd;
  } catch {
    return undefined; // fzstd is not installed: Zstandard codecs are UNSUPPORTED_CODEC
  }
}

function readOptions(values: { [name: string]: string | boolean | undefined }): DecodeOptions {
  let poolSize: number | undefined;
  if (values["pool-size"] !== undefined) {
    if (!/^[0-9]+$/.test(String(values["pool-size"]))) throw new UsageError("--pool-size needs a number");
    poolSize = Number(values["pool-size"]);
  }
  let groups: number[] | undefined;
  if (values.groups !== undefined) {
    const text = readFileSync(String(values.groups), "utf8");
    try {
      groups = JSON.parse(text) as number[];
    } catch {
      throw new UsageError(`--groups ${String(values.groups)} is not JSON`);
    }
  }
  const fingerprint = values.fingerprint as string | undefined;
  return { poolSize, fingerprint, groups };
}

/** Writes all of it, also into a pipe that is slower than we are. */
function print(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

function csv(indices: Uint32Array, labels: Uint16Array): string {
  const lines = ["index,label"];
  for (let j = 0; j < indices.length; j++) lines.push(`${indices[j]},${labels[j]}`);
  return `${lines.join("\n")}\n`;
}

async function main(args: string[]): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: { header: flag, csv: flag, help: flag, "pool-size": text, fingerprint: text, groups: text },
    });
    if (parsed.values.help) {
      print(`${USAGE}\n`);
      return 0;
    }
    if (parsed.positionals.length !== 1) throw new UsageError("name one file");
  } catch (error) {
    console.error(`plada-inspect: ${(error as Error).message} (--help shows the options)`);
    return 2;
  }
  const file = parsed.positionals[0];
  try {
    const options = readOptions(parsed.values);
    const bytes = new Uint8Array(readFileSync(file));
    if (parsed.values.header) {
      print(`${JSON.stringify(inspect(bytes), null, 2)}\n`);
      return 0;
    }
    const payload = decode(bytes, { ...options, zstd: await optionalZstd() });
    if (parsed.values.csv) print(csv(payload.indices, payload.labels));
    else {
      const { header, classNames, metadata, weights, softLabels } = payload;
      const metadataObject = metadata === null ? null : Object.fromEntries(metadata);
      const ancillary = { classNames, metadata: metadataObject, weights: weights !== null, softLabels: softLabels !== null };
      print(`${JSON.stringify({ ...header, ...ancillary }, null, 2)}\n`);
    }
    return 0;
  } catch (error) {
    if (error instanceof PladaError && error.kind !== "local") {
      const where = error.offset === null ? "" : ` at byte ${error.offset}`;
      console.error(`plada-inspect: ${file}: error ${error.code} ${error.name}${where}: ${error.message}`);
      return 1;
    }
    console.error(`plada-inspect: ${(error as Error).message}`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
