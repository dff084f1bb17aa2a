//! Shards: what a cell under evaluation has so far.
//!
//! An evaluation is cut into shards, stretches of the images under one condition, which
//! processes claim one by one. A shard is written in one or more pieces, one after the other, so
//! that whoever is cut off loses little. A piece is one line of JSON, then the outcome rows as ten
//! little-endian 32-bit words each. No row depends on where the cuts are.

use crate::error::{Error, Result};
use crate::files::{create_folder, write_atomic};
use crate::progress::announce;
use rlnet_suites::{Branch, CellId, Condition, Outcome};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Images of one attack in a shard, roughly: whole batches. An attack's image costs tens to
/// thousands of passes.
pub const ATTACKED: usize = 500;
/// Images of one clean or corrupted condition in a shard: one pass each.
const PASSED: usize = 10_000;
/// Words a row.
const WORDS: usize = 10;

/// A stretch of one condition's images that one process evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// OutputLocation of the condition in the cell.
    pub condition: usize,
    /// The first image.
    pub from: usize,
    /// The image after the last.
    pub to: usize,
}

impl Shard {
    /// The shards of conditions with so many images each: whole batches, about `attacked` images
    /// of an attack.
    pub fn all(conditions: &[Condition], counts: &[usize], batch: usize, attacked: usize) -> Vec<Self> {
        let mut shards = Vec::new();
        for (condition, (what, &count)) in conditions.iter().zip(counts).enumerate() {
            let images = match what {
                Condition::Attack(_) => attacked,
                _ => PASSED.max(attacked),
            };
            let images = batch * (images / batch).max(1);
            shards.extend((0..count).step_by(images).map(|from| Self {
                condition,
                from,
                to: count.min(from + images),
            }));
        }
        shards
    }

    /// The name of its claim.
    pub fn claim(&self, cell: &CellId) -> String {
        format!("{cell}.{:03}-{:06}", self.condition, self.from)
    }
}

/// What is known of a piece beside its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardHeader {
    /// Identity of the cell.
    pub cell: CellId,
    /// OutputLocation of the condition.
    pub condition: usize,
    /// The first image.
    pub from: usize,
    /// The image after the last.
    pub to: usize,
    /// Branches, in the order of the rows.
    pub branches: Vec<Branch>,
    /// Wall seconds it took.
    pub seconds: f64,
    /// Where it was computed.
    pub device: String,
    /// The process that computed it.
    pub process: String,
    /// Checksum of the rows (blake3).
    pub checksum: String,
    /// Checksum of the adversarial images beside it, where they are kept.
    pub images: Option<String>,
    /// Cells whose adversarial images were shown instead of making them again.
    #[serde(default)]
    pub images_of: Vec<CellId>,
}

/// A piece.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardResult {
    /// What is known of it.
    pub header: ShardHeader,
    /// Its rows, branch by branch.
    pub outcomes: Vec<Outcome>,
}

impl ShardResult {
    /// As bytes.
    ///
    /// # Errors
    /// When a row is of a branch that the header does not name.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut rows = Vec::with_capacity(self.outcomes.len() * WORDS * 4);
        for row in &self.outcomes {
            let branch = self
                .header
                .branches
                .iter()
                .position(|branch| *branch == row.branch);
            let branch = branch.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| {
                Error::Internal(format!("a row of branch {} was not asked for", row.branch))
            })?;
            let words: [u32; WORDS] = [
                row.image,
                branch,
                u32::from(row.label),
                u32::from(row.prediction),
                u32::from(row.rounded),
                row.margin.to_bits(),
                row.loss.to_bits(),
                row.norm.to_bits(),
                row.forwards,
                row.backwards,
            ];
            rows.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let mut header = self.header.clone();
        header.checksum = blake3::hash(&rows).to_hex().to_string();
        let mut bytes = serde_json::to_vec(&header).map_err(Error::internal)?;
        bytes.push(b'\n');
        bytes.extend(rows);
        Ok(bytes)
    }

    /// From bytes. The text says what is wrong with them.
    fn decode(bytes: &[u8], condition: &Condition) -> std::result::Result<Self, String> {
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("it has no header")?;
        let header: ShardHeader = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
        let rows = &bytes[end + 1..];
        if blake3::hash(rows).to_hex().as_str() != header.checksum {
            return Err("its checksum is wrong".to_owned());
        }
        let (words, _) = rows.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let small = |word: u32| u16::try_from(word).map_err(|_| format!("{word} is no class"));
        let (rows, _) = words.as_chunks::<WORDS>();
        let outcomes = rows.iter().map(|row| {
            Ok(Outcome {
                image: row[0],
                branch: *header
                    .branches
                    .get(row[1] as usize)
                    .ok_or("it has an unknown branch")?,
                condition: condition.clone(),
                label: small(row[2])?,
                prediction: small(row[3])?,
                rounded: small(row[4])?,
                margin: f32::from_bits(row[5]),
                loss: f32::from_bits(row[6]),
                norm: f32::from_bits(row[7]),
                forwards: row[8],
                backwards: row[9],
            })
        });
        let outcomes = outcomes.collect::<std::result::Result<Vec<_>, String>>()?;
        Ok(Self { header, outcomes })
    }
}

/// The pieces of one cell, as they lie in its work folder.
#[derive(Debug, Clone)]
pub struct ShardResults {
    cell: CellId,
    folder: PathBuf,
    images: bool,
}

/// Folder of the pieces in a cell's work folder.
pub const FOLDER: &str = "pieces";

impl ShardResults {
    /// The pieces in `work`, for batches and shards (of an attack) of these sizes, with the
    /// adversarial images or without; others are not seen.
    pub fn new(cell: &CellId, work: &Path, (batch, attacked): (usize, usize), images: bool) -> Self {
        let kind = if images { "-images" } else { "" };
        Self {
            cell: cell.clone(),
            folder: work.join(FOLDER).join(format!("b{batch}-s{attacked}{kind}")),
            images,
        }
    }

    /// Whether adversarial images lie beside the rows.
    pub fn have_images(&self) -> bool {
        self.images
    }

    /// The pieces of a shard in order, by their ends: contiguous from its first image. Names only.
    fn chain(&self, shard: &Shard) -> Vec<(usize, usize)> {
        let prefix = format!("{:03}-", shard.condition);
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let span = name.to_str().and_then(|name| {
                let (from, to) = name
                    .strip_suffix(".rows")?
                    .strip_prefix(&prefix)?
                    .split_once('-')?;
                Some((from.parse().ok()?, to.parse().ok()?))
            });
            spans.extend(span);
        }
        let mut chain = Vec::new();
        let mut at = shard.from;
        while at < shard.to {
            let next = spans.iter().filter(|(from, to)| *from == at && *to <= shard.to);
            let Some(&(from, to)) = next.max_by_key(|(_, to)| *to).filter(|(from, to)| from < to) else {
                break;
            };
            chain.push((from, to));
            at = to;
        }
        chain
    }

    /// The first image of a shard that no piece has.
    pub fn reached(&self, shard: &Shard) -> usize {
        self.chain(shard).last().map_or(shard.from, |(_, to)| *to)
    }

    /// Whether a shard has all its pieces.
    pub fn is_complete(&self, shard: &Shard) -> bool {
        self.reached(shard) == shard.to
    }

    fn path(&self, condition: usize, from: usize, to: usize, kind: &str) -> PathBuf {
        self.folder
            .join(format!("{condition:03}-{from:06}-{to:06}.{kind}"))
    }

    /// Where the adversarial images of a piece lie.
    pub fn images(&self, header: &ShardHeader) -> PathBuf {
        self.path(header.condition, header.from, header.to, "safetensors")
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.folder)
    }

    /// Writes a piece, atomically.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, piece: &ShardResult) -> Result<()> {
        let header = &piece.header;
        let path = self.path(header.condition, header.from, header.to, "rows");
        write_atomic(&path, &piece.encode()?)
    }

    /// Reads the pieces of a complete shard. Nothing when one is damaged: it is removed, and
    /// the shard is no longer complete.
    ///
    /// # Errors
    /// When a damaged piece cannot be removed.
    pub fn read(&self, shard: &Shard, condition: &Condition) -> Result<Option<Vec<ShardResult>>> {
        let mut pieces = Vec::new();
        for (from, to) in self.chain(shard) {
            let path = self.path(shard.condition, from, to, "rows");
            match self.read_one(&path, condition, (shard.condition, from, to)) {
                Ok(piece) => pieces.push(piece),
                Err(why) => {
                    announce(&format!(
                        "{}: {why}; these images are evaluated again",
                        path.display()
                    ));
                    fs::remove_file(&path).map_err(|error| Error::writing(&path, &error))?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(pieces))
    }

    fn read_one(
        &self,
        path: &Path,
        condition: &Condition,
        place: (usize, usize, usize),
    ) -> std::result::Result<ShardResult, String> {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let piece = ShardResult::decode(&bytes, condition)?;
        let header = &piece.header;
        let rows = (header.to - header.from) * header.branches.len();
        if (header.condition, header.from, header.to) != place
            || header.cell != self.cell
            || rows != piece.outcomes.len()
        {
            return Err("it is not what its name says".to_owned());
        }
        if let Some(checksum) = &header.images {
            let bytes = fs::read(self.images(header)).map_err(|error| error.to_string())?;
            if blake3::hash(&bytes).to_hex().as_str() != checksum {
                return Err("the checksum of its images is wrong".to_owned());
            }
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "0123456789abcdef";

    fn piece(from: usize, to: usize) -> ShardResult {
        let condition: Condition = "fgsm".parse().expect("a condition");
        let branches = vec![Branch::Clean, Branch::Adversarial];
        let row = |branch: Branch, image: usize| Outcome {
            image: image as u32,
            branch,
            condition: condition.clone(),
            label: 3,
            prediction: (image % 5) as u16,
            rounded: 1,
            margin: -0.1 * image as f32,
            loss: f32::NAN,
            norm: f32::MIN_POSITIVE,
            forwards: 21,
            backwards: 20,
        };
        ShardResult {
            outcomes: branches
                .iter()
                .flat_map(|branch| (from..to).map(move |image| row(*branch, image)))
                .collect(),
            header: ShardHeader {
                cell: CellId(CELL.into()),
                condition: 1,
                from,
                to,
                branches,
                seconds: 1.5,
                device: "cpu".into(),
                process: "a".into(),
                checksum: String::new(),
                images: None,
                images_of: Vec::new(),
            },
        }
    }

    #[test]
    fn shards_are_whole_batches_and_cover_every_image_once() {
        let conditions: Vec<Condition> = ["clean", "fgsm"]
            .map(|text| text.parse().expect("a condition"))
            .into();
        let shards = Shard::all(&conditions, &[1000, 1000], 64, 200);
        let of = |condition| shards.iter().filter(move |shard| shard.condition == condition);
        assert_eq!(of(0).count(), 1);
        let mut at = 0;
        for shard in of(1) {
            assert_eq!(shard.from, at);
            assert_eq!(shard.from % 64, 0);
            at = shard.to;
        }
        assert_eq!((at, of(1).count()), (1000, 6));
        assert_eq!(Shard::all(&conditions, &[10, 10], 100, 20).len(), 2);
    }

    #[test]
    fn pieces_come_back_to_the_bit_and_damage_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let pieces = ShardResults::new(&CellId(CELL.into()), folder.path(), (10, 40), false);
        let condition: Condition = "fgsm".parse().expect("a condition");
        let shard = Shard {
            condition: 1,
            from: 20,
            to: 40,
        };
        pieces.create().expect("a folder");
        pieces.write(&piece(20, 30)).expect("a file");
        assert_eq!((pieces.reached(&shard), pieces.is_complete(&shard)), (30, false));
        pieces.write(&piece(30, 40)).expect("a file");
        assert!(pieces.is_complete(&shard));
        let read = pieces.read(&shard, &condition).expect("files").expect("sound");
        let bytes = |piece: &ShardResult| piece.encode().expect("bytes");
        assert_eq!(bytes(&read[0]), bytes(&piece(20, 30)));
        assert_eq!(bytes(&read[1]), bytes(&piece(30, 40)));
        // One bit of one row.
        let path = pieces.path(1, 30, 40, "rows");
        let mut damaged = fs::read(&path).expect("a file");
        let last = damaged.len() - 9;
        damaged[last] ^= 4;
        fs::write(&path, damaged).expect("a file");
        assert!(pieces.read(&shard, &condition).expect("files").is_none());
        assert_eq!(pieces.reached(&shard), 30);
    }
}
