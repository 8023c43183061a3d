//! Decoder for plada payloads, written from SPEC.md (format 1.1).
//!
//! A payload names which images of a pool to use, and one class label for each. This crate needs neither `std` nor an
//! allocator: [`Payload::open`] checks a file as far as that needs no memory, [`Payload::memory`] says how much the rest
//! needs, and [`Payload::decode`] fills the caller's slices. No input makes it panic.
//!
//! ```
//! use plada::{Options, Payload, Work};
//!
//! let file = [
//!     0x89, 0x50, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a, 0x01, 0x00, 0x36, 0x00, 0x28, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00,
//!     0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
//!     0x3f, 0xe0, 0x93, 0xb3, 0x4c, 0x62, 0x5a, 0x5c, 0x01, 0x04, 0x20, 0x02, 0xbc, 0xaf, 0xd5, 0x3e, 0x01, 0x1c, 0x23,
//!     0x2c, 0x5e, 0xf8, 0xb3, 0xda, 0x4a, 0x09, 0xd9, 0x80, 0x46, 0xb4,
//! ];
//! let payload = Payload::open(&file, &Options::new().pool_size(40))?;
//! let need = payload.memory();
//! let (mut indices, mut labels, mut scratch) = ([0; 6], [0; 6], [0; 0]);
//! assert_eq!((need.indices, need.labels, need.scratch, need.frame), (6, 6, 0, 0));
//! payload.decode(&mut Work::new(&mut indices, &mut labels, &mut scratch))?;
//! assert_eq!((indices, labels), ([3, 4, 5, 17, 18, 31], [2, 2, 0, 1, 1, 2]));
//! # Ok::<(), plada::Error>(())
//! ```
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, rust_2018_idioms, unreachable_pub)]

#[cfg(target_pointer_width = "16")]
compile_error!("plada needs usize of at least 32 bits");

mod bits;
mod block;
mod bytes;
mod container;
mod crc32;
mod digest;
mod error;
#[cfg(feature = "zstd")]
mod frame;
mod huffman;
mod index;
mod label;
mod options;
mod payload;
mod rans;
mod sections;
mod sha256;
mod symbols;

#[cfg(feature = "adaptive")]
mod adaptive;

pub use container::{Header, Section, Sections};
pub use digest::{content_digest, group_digest};
pub use error::{Error, ErrorCode};
#[cfg(feature = "zstd")]
pub use options::Decompress;
pub use options::{Limits, Options};
pub use payload::{Memory, Payload, Work};
pub use sections::{ClassNames, Metadata};

/// The example of README.md, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
