/** SHA-256 (FIPS 180-4), synchronous: crypto.subtle is asynchronous and missing on insecure origins. */

// Fractional parts of the cube roots of the first 64 primes.
const K = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

export class Sha256 {
  private readonly h = Int32Array.of(
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  );
  private readonly w = new Int32Array(64);
  private readonly block = new Uint8Array(64);
  private held = 0;
  private total = 0;

  update(bytes: Uint8Array): this {
    let i = 0;
    const n = bytes.length;
    this.total += n;
    if (this.held > 0) {
      const take = Math.min(64 - this.held, n);
      this.block.set(bytes.subarray(0, take), this.held);
      this.held += take;
      i = take;
      if (this.held < 64) return this;
      compress(this.h, this.w, this.block, 0);
      this.held = 0;
    }
    for (; i + 64 <= n; i += 64) compress(this.h, this.w, bytes, i);
    if (i < n) {
      this.block.set(bytes.subarray(i), 0);
      this.held = n - i;
    }
    return this;
  }

  /** The 32 bytes; the object must not be used afterwards. */
  digest(): Uint8Array {
    const { block } = this;
    block[this.held++] = 0x80;
    if (this.held > 56) {
      block.fill(0, this.held);
      compress(this.h, this.w, block, 0);
      this.held = 0;
    }
    block.fill(0, this.held);
    const view = new DataView(block.buffer);
    view.setUint32(56, Math.floor(this.total / 0x20000000));
    view.setUint32(60, (this.total << 3) >>> 0);
    compress(this.h, this.w, block, 0);
    const out = new Uint8Array(32);
    const words = new DataView(out.buffer);
    for (let i = 0; i < 8; i++) words.setInt32(4 * i, this.h[i]);
    return out;
  }
}

function big0(a: number): number {
  return ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
}

function big1(e: number): number {
  return ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
}

function compress(state: Int32Array, w: Int32Array, p: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++, at += 4) w[i] = (p[at] << 24) | (p[at + 1] << 16) | (p[at + 2] << 8) | p[at + 3];
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15];
    const y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  // Eight rounds a turn: then every variable is back in its place.
  for (let i = 0; i < 64; i += 8) {
    h = (h + big1(e) + (g ^ (e & (f ^ g))) + K[i] + w[i]) | 0;
    d = (d + h) | 0;
    h = (h + big0(a) + ((a & b) | (c & (a | b)))) | 0;
    g = (g + big1(d) + (f ^ (d & (e ^ f))) + K[i + 1] + w[i + 1]) | 0;
    c = (c + g) | 0;
    g = (g + big0(h) + ((h & a) | (b & (h | a)))) | 0;
    f = (f + big1(c) + (e ^ (c & (d ^ e))) + K[i + 2] + w[i + 2]) | 0;
    b = (b + f) | 0;
    f = (f + big0(g) + ((g & h) | (a & (g | h)))) | 0;
    e = (e + big1(b) + (d ^ (b & (c ^ d))) + K[i + 3] + w[i + 3]) | 0;
    a = (a + e) | 0;
    e = (e + big0(f) + ((f & g) | (h & (f | g)))) | 0;
    d = (d + big1(a) + (c ^ (a & (b ^ c))) + K[i + 4] + w[i + 4]) | 0;
    h = (h + d) | 0;
    d = (d + big0(e) + ((e & f) | (g & (e | f)))) | 0;
    c = (c + big1(h) + (b ^ (h & (a ^ b))) + K[i + 5] + w[i + 5]) | 0;
    g = (g + c) | 0;
    c = (c + big0(d) + ((d & e) | (f & (d | e)))) | 0;
    b = (b + big1(g) + (a ^ (g & (h ^ a))) + K[i + 6] + w[i + 6]) | 0;
    f = (f + b) | 0;
    b = (b + big0(c) + ((c & d) | (e & (c | d)))) | 0;
    a = (a + big1(f) + (h ^ (f & (g ^ h))) + K[i + 7] + w[i + 7]) | 0;
    e = (e + a) | 0;
    a = (a + big0(b) + ((b & c) | (d & (b | c)))) | 0;
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
  state[4] = (state[4] + e) | 0;
  state[5] = (state[5] + f) | 0;
  state[6] = (state[6] + g) | 0;
  state[7] = (state[7] + h) | 0;
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Sha256().update(bytes).digest();
}
