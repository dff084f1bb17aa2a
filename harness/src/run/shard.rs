//! Shards: what is evaluated of a cell so far.
//!
//! An evaluation is cut into shards, stretches of the images under one condition, which
//! processes claim one by one. The process saves what it has of a shard again and again, one file
//! of outcome rows after the other (Parquet, with the columns of a finished cell), so that whoever
//! is cut off loses little. No row depends on where the cuts are.

use crate::error::{Error, Result, reporting};
use crate::eval::Saved;
use crate::files::{create_folder, write_atomic};
use crate::progress::announce;
use rlnet_reports::columns::{from_parquet, to_parquet};
use rlnet_suites::{Branch, CellId, Condition, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Images of one attack in a shard, roughly: whole batches. An attack's image costs tens to
/// thousands of passes.
pub const ATTACKED: usize = 500;
/// Images of one clean or corrupted condition in a shard: one pass each.
const PASSED: usize = 10_000;
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
            let images = if what.is_attacked() {
                attacked
            } else {
                PASSED.max(attacked)
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

/// What is known of a stretch of a shard beside its rows. Its file makes them complete: it is
/// written last, and has their checksum.
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
    /// Checksum of the file of the rows (blake3).
    pub checksum: String,
    /// Checksum of the adversarial images beside it, where they are kept.
    pub images: Option<String>,
    /// Cells whose adversarial images were used again.
    #[serde(default)]
    pub images_of: Vec<CellId>,
}

impl ShardHeader {
    /// Whether this is the header of a file's name in this cell.
    fn is_of(&self, cell: &CellId, condition: usize, (from, to): (usize, usize)) -> bool {
        (self.condition, self.from, self.to) == (condition, from, to) && self.cell == *cell
    }

    /// Whether rows are those of the header: so many, and each of a branch and the condition.
    fn has(&self, rows: &[Outcome], condition: &Condition) -> bool {
        rows.len() == (self.to - self.from) * self.branches.len()
            && rows
                .iter()
                .all(|row| row.condition == *condition && self.branches.contains(&row.branch))
    }
}

/// What is evaluated of a shard: a stretch of its images.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardResult {
    /// What is known of it.
    pub header: ShardHeader,
    /// Its rows, branch by branch.
    pub outcomes: Vec<Outcome>,
}

impl ShardResult {
    /// Its rows from one image to another (the one after the last), without adversarial images.
    fn part(self, from: usize, to: usize) -> Self {
        let Self { header, outcomes } = self;
        let mut seen: BTreeMap<Branch, usize> = BTreeMap::new();
        let wanted = |row: &Outcome| {
            let place = seen.entry(row.branch).or_insert(header.from);
            *place += 1;
            (from..to).contains(&(*place - 1))
        };
        let outcomes = outcomes.into_iter().filter(wanted).collect();
        // Every branch has its rows in the order of the images.
        let share = (to - from) as f64 / (header.to - header.from) as f64;
        Self {
            outcomes,
            header: ShardHeader {
                from,
                to,
                seconds: header.seconds * share,
                images: None,
                ..header
            },
        }
    }
}

/// What is evaluated of one cell so far, as it lies in its work folder.
#[derive(Debug, Clone)]
pub struct ShardResults {
    cell: CellId,
    folder: PathBuf,
    images: bool,
}

/// How the names of folders of pieces with adversarial images end.
const WITH_IMAGES: &str = "-images";

/// Folder of the pieces in a cell's work folder.
pub const FOLDER: &str = "pieces";

impl ShardResults {
    /// The pieces in `work`, for batches and shards (of an attack) of these sizes, with the
    /// adversarial images or without; those of other sizes are seen by [`Self::adopt`] only.
    pub fn new(cell: &CellId, work: &Path, (batch, attacked): (usize, usize), images: bool) -> Self {
        let kind = if images { WITH_IMAGES } else { "" };
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

    /// The stretches of a condition's images that there are pieces of. Names only.
    fn spans(&self, condition: usize) -> Vec<(usize, usize)> {
        let prefix = format!("{condition:03}-");
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let span = name.to_str().and_then(|name| {
                let (from, to) = name
                    .strip_suffix(".json")?
                    .strip_prefix(&prefix)?
                    .split_once('-')?;
                Some((from.parse().ok()?, to.parse().ok()?))
            });
            spans.extend(span);
        }
        spans
    }

    /// The pieces of a shard in order, by their ends: contiguous from its first image. Names only.
    fn chain(&self, shard: &Shard) -> Vec<(usize, usize)> {
        let spans = self.spans(shard.condition);
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

    /// Takes over what is missing of a shard from pieces of other sizes of batches and shards: no row
    /// depends on where the cuts are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn adopt(&self, shard: &Shard, condition: &Condition) -> Result<()> {
        let others = self.of_other_sizes();
        let mut at = self.reached(shard);
        while let Some((other, piece)) = (others.iter())
            .filter(|_| at < shard.to)
            .find_map(|other| Some((other, other.with_image(shard.condition, condition, at)?)))
        {
            let header = &piece.header;
            let (first, to) = (at - header.from, header.to.min(shard.to));
            let saved = match &header.images {
                Some(_) if self.images => Some(Saved::read(&other.images(header))?.part(first, to - at)),
                _ => None,
            };
            let mut part = piece.part(at, to);
            if let Some(saved) = saved {
                self.write_images(&mut part, saved)?;
            }
            self.write(&part)?;
            at = to;
        }
        Ok(())
    }

    /// The pieces of the same cell for other sizes, with adversarial images where these have them.
    fn of_other_sizes(&self) -> Vec<Self> {
        let all = self.folder.parent().and_then(|all| fs::read_dir(all).ok());
        let folders = all.into_iter().flatten().flatten().map(|entry| entry.path());
        let fits = |folder: &PathBuf| {
            *folder != self.folder && (!self.images || folder.to_string_lossy().ends_with(WITH_IMAGES))
        };
        let mut folders: Vec<PathBuf> = folders.filter(fits).collect();
        folders.sort();
        let results = folders.into_iter().map(|folder| Self {
            cell: self.cell.clone(),
            images: folder.to_string_lossy().ends_with(WITH_IMAGES),
            folder,
        });
        results.collect()
    }

    /// A sound piece that has an image: the one that goes on farthest.
    fn with_image(&self, place: usize, condition: &Condition, image: usize) -> Option<ShardResult> {
        let mut spans = self.spans(place);
        spans.retain(|(from, to)| (*from..*to).contains(&image));
        spans.sort_by_key(|(_, to)| std::cmp::Reverse(*to));
        spans.into_iter().find_map(|(from, to)| {
            let path = self.path(place, from, to, "json");
            self.read_one(&path, place, condition, (from, to)).ok()
        })
    }

    /// Writes the adversarial images of a piece, and their checksum into its header.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_images(&self, piece: &mut ShardResult, saved: Saved) -> Result<()> {
        let path = self.images(&piece.header);
        saved.write(&path)?;
        let bytes = fs::read(&path).map_err(|error| Error::reading(&path, error))?;
        piece.header.images = Some(rlnet_suites::io::checksum(&bytes));
        Ok(())
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

    /// Writes a result: its rows, then the header, each atomically.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, result: &ShardResult) -> Result<()> {
        let mut header = result.header.clone();
        let path = |kind| self.path(header.condition, header.from, header.to, kind);
        let (rows, end) = (path("parquet"), path("json"));
        let bytes = to_parquet(&result.outcomes).map_err(reporting)?;
        write_atomic(&rows, &bytes)?;
        header.checksum = rlnet_suites::io::checksum(&bytes);
        let json = serde_json::to_vec(&header).map_err(Error::internal)?;
        write_atomic(&end, &json)
    }

    /// Reads the pieces of a complete shard. Nothing when one is damaged: it is removed, and
    /// the shard is no longer complete.
    ///
    /// # Errors
    /// When a damaged piece cannot be removed.
    pub fn read(&self, shard: &Shard, condition: &Condition) -> Result<Option<Vec<ShardResult>>> {
        let mut pieces = Vec::new();
        for (from, to) in self.chain(shard) {
            let path = self.path(shard.condition, from, to, "json");
            match self.read_one(&path, shard.condition, condition, (from, to)) {
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

    /// Reads one result. The text says what is wrong with it.
    fn read_one(
        &self,
        path: &Path,
        place: usize,
        condition: &Condition,
        images: (usize, usize),
    ) -> std::result::Result<ShardResult, String> {
        let json = fs::read(path).map_err(|error| error.to_string())?;
        let header: ShardHeader = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
        if !header.is_of(&self.cell, place, images) {
            return Err("it is not what its name says".to_owned());
        }
        let rows = path.with_extension("parquet");
        let bytes = checked(&rows, &header.checksum)?;
        let outcomes = from_parquet(&bytes, &rows).map_err(|error| error.to_string())?;
        if !header.has(&outcomes, condition) {
            return Err("its rows are not those of its header".to_owned());
        }
        if let Some(checksum) = &header.images {
            checked(&self.images(&header), checksum)?;
        }
        Ok(ShardResult { header, outcomes })
    }
}

/// The bytes of a file that has this checksum.
fn checked(path: &Path, checksum: &str) -> std::result::Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if rlnet_suites::io::checksum(&bytes) != checksum {
        return Err(format!("the checksum of {} is wrong", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::Ranking;

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
            unstable: 0,
            unusable: 0,
            ranking: Ranking::default(),
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
        // Every bit, also of what is not a number.
        let bytes = |result: &ShardResult| to_parquet(&result.outcomes).expect("bytes");
        assert_eq!(bytes(&read[0]), bytes(&piece(20, 30)));
        assert_eq!(bytes(&read[1]), bytes(&piece(30, 40)));
        assert!(read[1].outcomes[3].loss.is_nan() && read[1].outcomes[3].norm == f32::MIN_POSITIVE);
        // Rows of another condition are no rows of this shard.
        let other: Condition = "fgsm:eps=4/255".parse().expect("a condition");
        assert!(pieces.read(&shard, &other).expect("files").is_none());
        pieces.write(&piece(20, 30)).expect("a file");
        // One bit of one row.
        let path = pieces.path(1, 30, 40, "parquet");
        let mut damaged = fs::read(&path).expect("a file");
        let middle = damaged.len() / 2;
        damaged[middle] ^= 4;
        fs::write(&path, damaged).expect("a file");
        assert!(pieces.read(&shard, &condition).expect("files").is_none());
        assert_eq!(pieces.reached(&shard), 30);
        // Rows without their header are not there.
        fs::remove_file(pieces.path(1, 20, 30, "json")).expect("removed");
        assert_eq!(pieces.reached(&shard), 20);
    }

    /// Pieces of batches and shards of other sizes, which end elsewhere, serve again, to the bit;
    /// damaged ones do not.
    #[test]
    fn pieces_of_other_sizes_are_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |sizes, images| ShardResults::new(&CellId(CELL.into()), folder.path(), sizes, images);
        let condition: Condition = "fgsm".parse().expect("a condition");
        let shard = |from, to| Shard {
            condition: 1,
            from,
            to,
        };
        let first = of((10, 30), false);
        first.create().expect("a folder");
        for (from, to) in [(0, 20), (20, 30), (30, 50)] {
            first.write(&piece(from, to)).expect("a file");
        }
        let other = of((7, 25), false);
        other.create().expect("a folder");
        for (from, to, reached) in [(0, 25, 25), (25, 50, 50), (50, 60, 50)] {
            other.adopt(&shard(from, to), &condition).expect("files");
            assert_eq!(other.reached(&shard(from, to)), reached);
        }
        let read = other
            .read(&shard(0, 25), &condition)
            .expect("files")
            .expect("sound");
        let rows: Vec<Outcome> = read.into_iter().flat_map(|piece| piece.outcomes).collect();
        let bytes = |rows: &[Outcome]| to_parquet(rows).expect("bytes");
        let whole = [piece(0, 20).outcomes, piece(20, 25).outcomes].concat();
        assert_eq!(bytes(&rows), bytes(&whole));
        // Without the images that are to be kept, a piece does not serve.
        let kept = of((7, 25), true);
        kept.create().expect("a folder");
        kept.adopt(&shard(0, 25), &condition).expect("files");
        assert_eq!(kept.reached(&shard(0, 25)), 0);
        // Neither does a damaged one.
        fs::write(first.path(1, 30, 50, "parquet"), "damaged").expect("written");
        let third = of((9, 45), false);
        third.create().expect("a folder");
        fs::remove_dir_all(&other.folder).expect("removed");
        third.adopt(&shard(0, 45), &condition).expect("files");
        assert_eq!(third.reached(&shard(0, 45)), 30);
    }
}
