//! jpeg_compression: what JPEG loses, without writing a file.
//!
//! Huffman coding is lossless, so only the lossy steps are made: colour conversion, chroma
//! subsampling, the discrete cosine transform and quantisation, and all of it back.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::jpeg::{Codec, round_trip};
use crate::{RandomSource, Result, Stack};

pub(crate) const ENTRY: Entry = Entry::deterministic("jpeg_compression", run);

/// Quality, as the IJG scale counts it.
const QUALITY: [[u32; 5]; 3] = [[80, 65, 58, 50, 40], [65, 58, 50, 40, 25], [25, 18, 15, 10, 7]];

fn run(job: &Job<'_>, _: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let codec = match job.stack {
        Stack::Release => Codec::Ijg9,
        Stack::Modern => Codec::Turbo,
    };
    let size = (job.width, job.height);
    round_trip(job.pixels, size, job.pick(&QUALITY), codec, scratch, out);
    Ok(())
}
