//! What SPEC.md 5.5 asks of a Zstandard frame beyond that it decompresses.

use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};
use crate::options::Decompress;

const LARGEST_BLOCK: u64 = 1 << 17;

/// Check that `data` is exactly one frame of `buffer.len()` bytes, and decompress it.
pub(crate) fn decompress(data: &[u8], buffer: &mut [u8], with: &Decompress) -> Outcome<()> {
    check(data, buffer.len() as u64)?;
    match with(data, buffer) {
        Some(size) if size == buffer.len() => Ok(()),
        _ => Err(ErrorCode::ZstdFrame),
    }
}

fn check(data: &[u8], content: u64) -> Outcome<()> {
    let mut bytes = Bytes::with_error(data, ErrorCode::ZstdFrame);
    if bytes.take(4)? != [0x28, 0xB5, 0x2F, 0xFD] {
        return Err(ErrorCode::ZstdFrame);
    }
    let descriptor = bytes.u8()?;
    let single_segment = descriptor & 0x20 != 0;
    // Reserved_bit, Content_Checksum_flag, Dictionary_ID_flag
    if descriptor & 0x0F != 0 {
        return Err(ErrorCode::ZstdFrame);
    }
    let mut window = content;
    if !single_segment {
        let byte = u64::from(bytes.u8()?);
        let base = 1u64 << (10 + (byte >> 3));
        window = base + base / 8 * (byte & 7);
        if window > 1 << 27 {
            return Err(ErrorCode::ZstdFrame);
        }
    }
    let size = match descriptor >> 6 {
        0 if single_segment => u64::from(bytes.u8()?),
        0 => return Err(ErrorCode::ZstdFrame),
        1 => u64::from(little(bytes.take(2)?)) + 256,
        2 => u64::from(bytes.u32()?),
        _ => u64::from(bytes.u32()?) | u64::from(bytes.u32()?) << 32,
    };
    if size != content {
        return Err(ErrorCode::ZstdFrame);
    }
    loop {
        let head = little(bytes.take(3)?);
        let size = head >> 3;
        if u64::from(size) > window.min(LARGEST_BLOCK) {
            return Err(ErrorCode::ZstdFrame);
        }
        match head >> 1 & 3 {
            1 => bytes.take(1)?,
            3 => return Err(ErrorCode::ZstdFrame),
            _ => bytes.take(size as usize)?,
        };
        if head & 1 == 1 {
            break;
        }
    }
    bytes.end().map_err(|_| ErrorCode::ZstdFrame)
}

fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
