//! CRC-32 of zlib (SPEC.md section 2), eight bytes a step.

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut out = [[0; 256]; 8];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        out[0][n] = value;
        n += 1;
    }
    let mut step = 1;
    while step < 8 {
        let mut n = 0;
        while n < 256 {
            let before = out[step - 1][n];
            out[step][n] = (before >> 8) ^ out[0][(before & 0xFF) as usize];
            n += 1;
        }
        step += 1;
    }
    out
}

/// CRC-32 of the concatenation of byte strings.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for part in parts {
        let mut chunks = part.chunks_exact(8);
        for chunk in &mut chunks {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            let word = u64::from_le_bytes(eight) ^ u64::from(crc);
            let look = |n: usize| TABLES[7 - n][(word >> (8 * n) & 0xFF) as usize];
            crc = look(0) ^ look(1) ^ look(2) ^ look(3) ^ look(4) ^ look(5) ^ look(6) ^ look(7);
        }
        for &byte in chunks.remainder() {
            crc = (crc >> 8) ^ TABLES[0][(crc as u8 ^ byte) as usize];
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn check_value() {
        assert_eq!(crc32(&[b"123456789"]), 0xCBF4_3926);
        assert_eq!(crc32(&[b""]), 0);
    }

    #[test]
    fn parts_do_not_matter() {
        let data = *b"the same bytes in one part or in several";
        for cut in 0..data.len() {
            assert_eq!(crc32(&[&data]), crc32(&[&data[..cut], &data[cut..]]));
        }
    }
}
