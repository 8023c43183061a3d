/**
 * Whether the blocks of a Zstandard frame make as many bytes as expected, by their headers and sequences alone (RFC 8878,
 * section 3.1.1).
 *
 * fzstd 0.1.1 believes them. In some damaged blocks it then never ends, or copies for minutes what a few bytes ask for:
 * a table of Huffman weights of one symbol, which takes no bits; sequences whose bits or lengths there are not; codes
 * that mean no length. With blocks that this function takes, its work is in proportion to frame and content.
 */

const MAX_BLOCK = 2 ** 17;

interface FseTable {
  /** What each state stands for, how many bits follow it, and what they are added to for the next state. */
  readonly symbols: Uint8Array;
  readonly widths: Uint8Array;
  readonly bases: Uint16Array;
  readonly log: number;
}

/** Literal lengths, offsets and match lengths, in the order of their modes: limits, the default table, lengths of codes. */
const KINDS = [
  {
    maxLog: 9,
    maxSymbol: 35,
    table: fseTable([4, 3, ...times(11, 2), 1, 1, 1, ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)], 6),
  },
  { maxLog: 8, maxSymbol: 31, table: fseTable([...times(6, 1), 2, 2, 2, ...times(15, 1), ...times(5, -1)], 5) },
  { maxLog: 9, maxSymbol: 52, table: fseTable([1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)], 6) },
] as const;
const LITERAL_WIDTHS = [...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_WIDTHS = [...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERAL_BASES = bases(LITERAL_WIDTHS, 0);
const MATCH_BASES = bases(MATCH_WIDTHS, 3);

function times(n: number, value: number): number[] {
  return new Array<number>(n).fill(value);
}

function bases(widths: readonly number[], first: number): number[] {
  let next = first;
  return widths.map((width) => (next += 2 ** width) - 2 ** width);
}

function damaged(what: string): never {
  throw new RangeError(what);
}

/** The table of symbols that occur `counts[i]` times in 2^log; -1: once, in the last places. */
function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const widths = new Uint8Array(size);
  const bases = new Uint16Array(size);
  let top = size;
  counts.forEach((count, symbol) => {
    if (count < 0) symbols[--top] = symbol;
  });
  let at = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
      while (at >= top);
    }
  });
  const next = counts.map(Math.abs);
  for (let state = 0; state < size; state++) {
    const x = next[symbols[state]]++;
    widths[state] = log - (31 - Math.clz32(x));
    bases[state] = (x << widths[state]) - size;
  }
  return { symbols, widths, bases, log };
}

/** Throws a RangeError unless these are the blocks of one frame, all of them, and make `size` bytes. */
export function checkBlocks(blocks: Uint8Array, size: number): void {
  const tables: (FseTable | null)[] = [null, null, null];
  let total = 0;
  let at = 0;
  for (let last = 0; last === 0; ) {
    if (blocks.length - at < 3) damaged("the frame ends within a block header");
    const head = blocks[at] | (blocks[at + 1] << 8) | (blocks[at + 2] << 16);
    last = head & 1;
    const type = (head >> 1) & 3;
    const start = at + 3;
    at = start + (type === 1 ? 1 : head >> 3);
    if (at > blocks.length) damaged("the frame ends within a block");
    if (type === 3) damaged("reserved block type");
    const made = type === 2 ? blockSize(blocks.subarray(start, at), tables) : head >> 3;
    if (made > MAX_BLOCK) damaged("a block makes too many bytes");
    total += made;
    if (total > size) break;
  }
  if (total !== size) damaged(`the frame does not hold ${size} bytes`);
  if (at < blocks.length) damaged("bytes follow the frame");
}

/** What a compressed block makes. `tables`: those of the last block with sequences, replaced by this one's. */
function blockSize(block: Uint8Array, tables: (FseTable | null)[]): number {
  let at = 0;
  const byte = (): number => (at < block.length ? block[at++] : damaged("the block ends within its headers"));
  const little = (n: number): number => {
    let x = 0;
    for (let i = 0; i < n; i++) x += byte() * 256 ** i;
    return x;
  };

  // literals
  const head = byte();
  const kind = head & 3;
  const format = (head >> 2) & 3;
  let literals: number;
  if (kind < 2) {
    literals = format === 1 ? (head >> 4) + 16 * byte() : format === 3 ? (head >> 4) + 16 * little(2) : head >> 3;
    at += kind === 0 ? literals : 1;
  } else {
    const width = format < 2 ? 10 : 4 * format + 6;
    const sizes = Math.floor(head / 16) + 16 * little((2 * width - 4) / 8);
    literals = sizes % 2 ** width;
    const start = at;
    at += Math.floor(sizes / 2 ** width);
    if (kind === 2 && start < block.length && block[start] < 128) checkWeights(block, start + 1, Math.min(start + 1 + block[start], at));
  }
  if (literals > MAX_BLOCK) damaged("too many literals");

  // sequences
  let count = byte();
  if (count === 0) return literals;
  if (count === 255) count = 0x7f00 + little(2);
  else if (count > 127) count = (count - 128) * 256 + byte();
  const modes = byte();
  if (modes & 3) damaged("reserved bits of the sequences are set");
  KINDS.forEach(({ maxLog, maxSymbol, table }, i) => {
    const mode = (modes >> (6 - 2 * i)) & 3;
    if (mode === 0) tables[i] = table;
    else if (mode === 1) {
      const symbol = byte();
      if (symbol > maxSymbol) damaged("no such code");
      tables[i] = { symbols: Uint8Array.of(symbol), widths: new Uint8Array(1), bases: new Uint16Array(1), log: 0 };
    } else if (mode === 2) [tables[i], at] = readTable(block, at, block.length, maxLog, maxSymbol);
    else if (tables[i] === null) damaged("there is no table to repeat");
  });
  const { used, made } = sequences(block.subarray(at), count, tables as FseTable[]);
  if (used > literals) damaged("the sequences take more literals than there are");
  return literals + made;
}

/** A table of one symbol gives weights without end: its states take no bits. */
function checkWeights(block: Uint8Array, start: number, end: number): void {
  const [{ widths }] = readTable(block, start, end, 6, 11);
  if (widths.every((width) => width === 0)) damaged("Huffman weights without end");
}

/** Reads a table's description, which must end before `end`. Returns where it does, too. */
function readTable(bytes: Uint8Array, start: number, end: number, maxLog: number, maxSymbol: number): [FseTable, number] {
  let pos = 8 * start;
  const peek = (n: number): number => {
    const at = pos >> 3;
    return ((bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) >> (pos & 7)) & ((1 << n) - 1);
  };
  const log = 5 + peek(4);
  pos += 4;
  if (log > maxLog) damaged("too large a table");
  const counts: number[] = [];
  for (let left = 1 << log; left > 0; ) {
    // A number from 0 to left + 1; the first ones are a bit shorter.
    const width = 31 - Math.clz32(left + 1);
    const short = 2 ** (width + 1) - 2 - left;
    const low = peek(width);
    let value = low;
    if (low < short) pos += width;
    else {
      value = peek(width + 1);
      if (value > low) value -= short;
      pos += width + 1;
    }
    counts.push(value - 1);
    left -= Math.abs(value - 1);
    for (let run = value === 1 ? 3 : 0; run === 3; pos += 2) {
      run = peek(2);
      counts.push(...times(run, 0));
    }
    if (counts.length > maxSymbol + 1 || pos > 8 * end) damaged("a damaged table");
  }
  return [fseTable(counts, log), (pos + 7) >> 3];
}

/** How many literals the sequences take, and how many bytes their matches make. The bits are read from the last to the first. */
function sequences(bits: Uint8Array, count: number, [literal, offset, match]: FseTable[]): { used: number; made: number } {
  const last = bits[bits.length - 1];
  if (!last) damaged("the sequences have no end mark");
  let pos = 8 * bits.length - 1 - (Math.clz32(last) - 24);
  const read = (n: number): number => {
    pos -= n;
    const at = pos >> 3;
    return ((bits[at] | (bits[at + 1] << 8) | (bits[at + 2] << 16)) >> (pos & 7)) & ((1 << n) - 1);
  };
  let l = read(literal.log);
  let o = read(offset.log);
  let m = read(match.log);
  let used = 0;
  let made = 0;
  for (let left = count; ; ) {
    pos -= offset.symbols[o];
    made += MATCH_BASES[match.symbols[m]] + read(MATCH_WIDTHS[match.symbols[m]]);
    used += LITERAL_BASES[literal.symbols[l]] + read(LITERAL_WIDTHS[literal.symbols[l]]);
    if (--left === 0) break;
    l = literal.bases[l] + read(literal.widths[l]);
    m = match.bases[m] + read(match.widths[m]);
    o = offset.bases[o] + read(offset.widths[o]);
    if (pos < 0) break;
  }
  if (pos !== 0) damaged("the sequences' bits are too few or too many");
  return { used, made };
}
