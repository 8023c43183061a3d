//! Time of decoding a file: the best of many rounds, as one line of JSON.

use std::process::ExitCode;
use std::time::Instant;

use plada::{content_digest, Payload};
use plada_tools::{options, Buffers};

const USAGE: &str = "usage: bench FILE [ROUNDS [GROUPS]]   (GROUPS: file of u32 group starts, little-endian; 50 rounds)";

/// Shortest time of `work`, and the sum of what it returned, so that it cannot be left out.
fn milliseconds(rounds: u32, mut work: impl FnMut() -> u64) -> (f64, u64) {
    let (mut best, mut sum) = (f64::INFINITY, 0u64);
    for _ in 0..rounds {
        let start = Instant::now();
        sum = sum.wrapping_add(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    (best * 1e3, sum)
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or(USAGE)?;
    let rounds = arguments.get(1).map_or(Ok(50), |text| text.parse()).map_err(|_| USAGE)?;
    let read = |path: &String| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let data = read(path)?;
    let groups: Vec<u32> = match arguments.get(2) {
        Some(path) => read(path)?.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        None => Vec::new(),
    };
    let options = if groups.is_empty() { options() } else { options().groups(&groups) };
    let mut buffers = Buffers::default();

    let payload = Payload::open(&data, &options).map_err(|error| format!("{path}: {error}"))?;
    let (indices, labels) = buffers.decode(&payload).map_err(|error| format!("{path}: {error}"))?;
    let header = payload.header();
    let right = u64::from_le_bytes(header.content_digest);
    let (digest, sum) = milliseconds(rounds, || {
        u64::from_le_bytes(content_digest(header.pool_size, header.num_classes, indices, labels))
    });
    assert_eq!(sum, right.wrapping_mul(u64::from(rounds)));
    let count = indices.len();
    let (whole, sum) = milliseconds(rounds, || {
        let result = Payload::open(&data, &options).and_then(|payload| buffers.decode(&payload).map(|(i, _)| i.len()));
        result.map_or(0, |count| count as u64 + 1)
    });
    assert_eq!(sum, (count as u64 + 1) * u64::from(rounds));
    println!(
        "{{\"decoder\": \"rust\", \"file_bytes\": {}, \"count\": {count}, \"rounds\": {rounds}, \"decode_ms\": {:.4}, \
         \"digest_ms\": {digest:.4}, \"total_ms\": {whole:.4}}}",
        data.len(),
        (whole - digest).max(0.0),
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}
