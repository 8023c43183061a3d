//! Worker of the conformance runner: requests from standard input, verdicts to standard output (conformance/README.md).

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::process::ExitCode;

use plada::{content_digest, Error, Limits, Payload};
use plada_tools::{options, Buffers, ADAPTIVE, ZSTD};

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, size: usize) -> io::Result<&'a [u8]> {
        if size > self.0.len() {
            return Err(io::Error::new(ErrorKind::InvalidData, "request shorter than its fields"));
        }
        let (now, later) = self.0.split_at(size);
        self.0 = later;
        Ok(now)
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }
}

fn answer(request: &[u8], buffers: &mut Buffers) -> io::Result<[u8; 13]> {
    let mut fields = Fields(request);
    let flags = fields.take(1)?[0];
    let pool_size = fields.u32()?;
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(fields.take(16)?);
    let limits = Limits { pool_size: fields.u32()?, count: fields.u32()? };
    let group_count = fields.u32()?;
    let groups = (0..group_count).map(|_| fields.u32()).collect::<io::Result<Vec<u32>>>()?;
    let size = fields.u32()? as usize;
    let file = fields.take(size)?;

    let mut options = options().limits(limits);
    if flags & 1 != 0 {
        options = options.pool_size(pool_size);
    }
    if flags & 2 != 0 {
        options = options.fingerprint(fingerprint);
    }
    if flags & 4 != 0 {
        options = options.groups(&groups);
    }
    let mut out = [0; 13];
    let result = Payload::open(file, &options).and_then(|payload| {
        let (indices, labels) = buffers.decode(&payload)?;
        let header = payload.header();
        out[1..9].copy_from_slice(&content_digest(header.pool_size, header.num_classes, indices, labels));
        out[9..].copy_from_slice(&header.count.to_le_bytes());
        Ok::<(), Error>(())
    });
    out[0] = result.map_or_else(|error| error.code.number(), |()| 0);
    Ok(out)
}

fn serve() -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut output = io::stdout().lock();
    let mut buffers = Buffers::default();
    let mut request = Vec::new();
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        request.resize(u32::from_le_bytes(length) as usize, 0);
        input.read_exact(&mut request)?;
        output.write_all(&answer(&request, &mut buffers)?)?;
        output.flush()?;
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--capabilities") {
        println!("{{\"name\": \"rust\", \"zstd\": {ZSTD}, \"adaptive\": {ADAPTIVE}}}");
        return ExitCode::SUCCESS;
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}
