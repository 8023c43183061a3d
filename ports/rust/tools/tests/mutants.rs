//! Random damage under right checksums: no panic (overflow checks are on), and the same verdict however much scratch.

mod common;

use common::{bodies, decode, repair, vectors, Random};
use plada::Limits;
use plada_tools::{ADAPTIVE, ZSTD};

#[test]
fn mutants_of_every_vector() {
    let rounds = std::env::var("PLADA_MUTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut random = Random(20_261_127);
    let limits = Limits { pool_size: 1 << 20, count: 1 << 16 };
    let (mut accepted, mut codes) = (0, std::collections::BTreeMap::new());
    for vector in vectors() {
        if vector.data.len() > 4000 || !vector.is_within(ZSTD, ADAPTIVE) {
            continue;
        }
        for _ in 0..rounds {
            let mut data = vector.data.clone();
            for _ in 0..1 + random.below(3) {
                damage(&mut random, &mut data);
            }
            if random.below(8) > 0 {
                repair(&mut data);
            }
            let options = vector.options().limits(limits);
            if vector.pool_size.map_or(false, |images| images > limits.pool_size) {
                continue;
            }
            let fast = decode(&data, &options, false);
            assert_eq!(fast, decode(&data, &options, true), "{}: {data:02x?}", vector.name);
            match fast {
                Ok((indices, labels)) => {
                    accepted += 1;
                    assert_eq!(indices.len(), labels.len());
                    assert!(indices.windows(2).all(|two| two[0] < two[1]));
                }
                Err(error) => *codes.entry(error.code.name()).or_insert(0u32) += 1,
            }
        }
    }
    println!("accepted {accepted}, refused {codes:?}");
    assert!(codes.len() > 15, "mutants reach too little: {codes:?}");
}

fn damage(random: &mut Random, data: &mut [u8]) {
    if data.is_empty() {
        return;
    }
    let sections = bodies(data);
    let place = match sections.get(random.below(sections.len() + 1)) {
        Some((_, offset, length)) if *length > 0 && offset + length <= data.len() => offset + random.below(*length),
        _ => random.below(data.len()),
    };
    match random.below(7) {
        0 | 1 => data[place] ^= 1 << random.below(8),
        2 => data[place] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)],
        3 => data[place] = random.next() as u8,
        4 => data[place] = data[place].wrapping_add(1),
        5 if data.len() > 24 => {
            let field = [12, 16, 20][random.below(3)];
            data[field] = data[field].wrapping_add([1, 255, 8, 128][random.below(4)]);
        }
        _ => {
            let end = (place + 1 + random.below(8)).min(data.len());
            let value = random.next() as u8;
            data[place..end].fill(value);
        }
    }
}
