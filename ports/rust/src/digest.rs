//! Digests of content (SPEC.md section 4) and of a pool's groups (16.2).

use crate::sha256::Sha256;

/// Digest of a payload's content: the first 8 bytes of the SHA-256 of section 4.
///
/// `indices` and `labels` have the same length, k.
#[must_use]
pub fn content_digest(pool_size: u32, num_classes: u32, indices: &[u32], labels: &[u16]) -> [u8; 8] {
    let mut sha = Sha256::new();
    sha.update(b"plada content 1\0");
    sha.update(&pool_size.to_le_bytes());
    sha.update(&(indices.len() as u32).to_le_bytes());
    sha.update(&num_classes.to_le_bytes());
    let mut buffer = [0; 256];
    for some in indices.chunks(64) {
        for (bytes, value) in buffer.chunks_exact_mut(4).zip(some) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        sha.update(&buffer[..4 * some.len()]);
    }
    for some in labels.chunks(128) {
        for (bytes, value) in buffer.chunks_exact_mut(2).zip(some) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        sha.update(&buffer[..2 * some.len()]);
    }
    first_eight(sha)
}

/// Digest of a pool's groups, given the number of the first image of each.
#[must_use]
pub fn group_digest(starts: &[u32]) -> [u8; 8] {
    let mut sha = Sha256::new();
    sha.update(b"PLADA-pool-groups-v1\0");
    sha.update(&(starts.len() as u32).to_le_bytes());
    for start in starts {
        sha.update(&start.to_le_bytes());
    }
    let mut out = first_eight(sha);
    if out == [0; 8] {
        out[7] = 1;
    }
    out
}

fn first_eight(sha: Sha256) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&sha.finish()[..8]);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn example_of_section_16_9() {
        assert_eq!(super::group_digest(&[0, 2]), [0x78, 0x6f, 0x12, 0x95, 0x28, 0x9b, 0x33, 0xf3]);
    }

    #[test]
    fn example_of_section_3_3() {
        let digest = super::content_digest(40, 3, &[3, 4, 5, 17, 18, 31], &[2, 2, 0, 1, 1, 2]);
        assert_eq!(digest, [0x3f, 0xe0, 0x93, 0xb3, 0x4c, 0x62, 0x5a, 0x5c]);
    }
}
