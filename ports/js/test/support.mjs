// What several test files share.
import { readFileSync } from "node:fs";
import { PladaError } from "../dist/index.js";

const vectors = new URL("../../../vectors/", import.meta.url);

export const manifest = JSON.parse(readFileSync(new URL("manifest.json", vectors), "utf8"));

export function vector(file) {
  return new Uint8Array(readFileSync(new URL(file.split("/").map(encodeURIComponent).join("/"), vectors)));
}

/** What a vector says that its caller expects, as options of decode. */
export function optionsOf(v) {
  const { caller = {} } = v;
  const options = {};
  // A valid file is for a caller who knows the pool: some are made for the largest possible one.
  const poolSize = caller.pool_size ?? (v.error === undefined ? v.pool_size : undefined);
  if (poolSize !== undefined) options.poolSize = poolSize;
  if (caller.pool_fingerprint !== undefined) options.fingerprint = caller.pool_fingerprint;
  const groups = caller.groups ?? caller.group_starts ?? v.groups ?? v.group_starts;
  if (groups !== undefined && groups !== null) options.groups = groups;
  return options;
}

/** Runs `f`, which must throw a PladaError, and returns that. */
export function expectError(f) {
  try {
    f();
  } catch (error) {
    if (error instanceof PladaError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
