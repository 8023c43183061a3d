//! The two functions of libzstd that a decoder needs.

use std::ffi::c_void;
use std::os::raw::c_uint;

#[link(name = "zstd")]
extern "C" {
    fn ZSTD_decompress(to: *mut c_void, room: usize, from: *const c_void, size: usize) -> usize;
    fn ZSTD_isError(result: usize) -> c_uint;
}

/// Decompress one frame; the number of bytes it held, or `None`.
pub(crate) fn decompress(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    // SAFETY: both pointers are valid for the lengths given with them, and the regions do not overlap.
    let result = unsafe { ZSTD_decompress(out.as_mut_ptr().cast(), out.len(), frame.as_ptr().cast(), frame.len()) };
    // SAFETY: takes a number, touches no memory.
    if unsafe { ZSTD_isError(result) } == 0 {
        Some(result)
    } else {
        None
    }
}
