//! Adaptive codecs of format 1.1.

mod coder;
mod gap;
