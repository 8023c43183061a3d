/**
 * Decodes in a worker, so that the page answers whatever a file does to the decoder, and for a limited time.
 *
 * The worker runs the page's own script from a blob, for a page opened from disk may load no other file. Where a browser
 * refuses that, the page decodes itself.
 */

import { decode, type DecodeOptions, type ErrorName, type Payload, PladaError } from "../src/index.js";
import { zstd } from "../src/fzstd.js";

export type Outcome =
  | { readonly payload: Payload }
  | { readonly error: PladaError }
  | { readonly fault: string }
  | { readonly tooSlow: number };

interface Request {
  readonly bytes: Uint8Array;
  readonly options: DecodeOptions;
}

/** What of an error can be sent. */
interface Refusal {
  readonly name: ErrorName;
  readonly message: string;
  readonly offset: number | null;
  readonly section: number | null;
}

type Answer = "ready" | { readonly payload: Payload } | { readonly refusal: Refusal } | { readonly fault: string };

function answer({ bytes, options }: Request): Exclude<Answer, "ready"> {
  try {
    return { payload: decode(bytes, { ...options, zstd }) };
  } catch (thrown) {
    if (!(thrown instanceof PladaError)) return { fault: String(thrown) };
    const { name, message, offset, section } = thrown;
    return { refusal: { name, message, offset, section } };
  }
}

function outcome(given: Exclude<Answer, "ready">): Outcome {
  if (!("refusal" in given)) return given;
  const { name, message, offset, section } = given.refusal;
  return { error: new PladaError(name, message, offset, section) };
}

/** In the worker: answers what it is asked. */
export function serve(): void {
  self.onmessage = ({ data }: MessageEvent<Request>) => self.postMessage(answer(data));
  self.postMessage("ready");
}

let source = "";
let worker: Worker | null = null;
let stop = (): void => {};

/** In the page: `script` is the text of the script that calls `serve` where there is no document. */
export function useScript(script: string): void {
  source = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
}

/** Ends what `decodeApart` is at. */
export function cancel(): void {
  stop();
}

/** Decodes for at most `seconds`. null: another call, or `cancel`, has come first. */
export function decodeApart(bytes: Uint8Array, options: DecodeOptions, seconds: number): Promise<Outcome | null> {
  cancel();
  return new Promise((resolve) => {
    let timer: number | undefined;
    const settle = (found: Outcome | null, keep: boolean): void => {
      clearTimeout(timer);
      stop = () => {};
      if (!keep) {
        worker?.terminate();
        worker = null;
      }
      resolve(found);
    };
    const decodeHere = (): void => settle(outcome(answer({ bytes, options })), false);
    let ready = worker !== null;
    try {
      worker ??= new Worker(source);
      worker.postMessage({ bytes, options } satisfies Request);
    } catch {
      decodeHere();
      return;
    }
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data === "ready") ready = true;
      else settle(outcome(data), true);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (ready) settle({ fault: event.message }, false);
      else decodeHere();
    };
    stop = () => settle(null, false);
    if (seconds < Infinity) timer = window.setTimeout(() => settle({ tooSlow: seconds }, false), 1000 * seconds);
  });
}
