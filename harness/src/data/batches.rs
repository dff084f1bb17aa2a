//! An epoch of shuffled, augmented batches, each prepared while the one before is used.
//!
//! Every image has a clean view (crop and flip) and, where a batch asks for it, an AugMix view.
//! In the published code the two are cropped and flipped on their own, although the AugMix term is
//! trained towards the teacher's logits on the *clean* view (defect B8); with `shared_crop`
//! both views show the same crop. A view depends on (seed, epoch, official index) alone, so
//! batch size and thread count change nothing but the grouping.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use rayon::prelude::*;
use rlnet_corruptions::random::KeyedRng;
use rlnet_corruptions::{Family, Generator, Image, Options, ParameterSet, Severity};

use super::augment::{CropFlip, to_chw};
use super::augmix::augmix;
use super::pixmix::{gaussian, pixmix};
use super::{DataError, Split};
use rlnet_suites::objective::Augmentation;

/// Which views of which images an epoch hands out.
#[derive(Debug, Clone, Copy)]
pub struct ViewSpec {
    /// Seed of the run; order, crops and AugMix draws are keyed by it.
    pub seed: u64,
    /// Epoch number, part of every key.
    pub epoch: u32,
    /// Images a batch, at least 1; the last batch is short where the split does not divide.
    pub batch: usize,
    /// Whether images are cropped and flipped.
    pub augment: bool,
    /// Whether AugMix views are made at all.
    pub augmix: bool,
    /// What is made in their place.
    pub augmentation: Augmentation,
    /// Whether an AugMix view has its clean view's crop and flip (dialect `paper`), or its own (`reference`).
    pub shared_crop: bool,
    /// How many leading images of a batch get an AugMix view, given the batch's length (half of
    /// them in dual-norm training). Values above the length mean all.
    pub augmix_count: fn(usize) -> usize,
    /// Side in pixels of the square that is set to zero in every view, 0 for none.
    pub cutout: usize,
}

/// One batch of views, un-normalised, in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Side of the square images, in pixels.
    pub size: usize,
    /// Clean views, n x 3 x size x size.
    pub clean: Vec<f32>,
    /// AugMix views of the first m images, m x 3 x size x size; empty without AugMix.
    pub augmix: Vec<f32>,
    /// Classes of the n images.
    pub labels: Vec<i64>,
    /// Official positions of the n images in their split.
    pub indices: Vec<u32>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images; batches of [`epoch`] always have some.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The batches of one epoch over `split`, in an order keyed by (seed, epoch), every image once.
///
/// One batch is prepared ahead, on a background thread that spreads the images over rayon's pool.
/// Dropping the iterator stops the thread. A panic of the thread goes on in the caller. A batch with a
/// file that cannot be read is an error, and the last one.
///
/// # Panics
/// If `spec.batch` is 0.
pub fn epoch(split: Arc<Split>, spec: ViewSpec) -> impl Iterator<Item = Result<Batch, DataError>> {
    assert!(spec.batch > 0, "a batch needs at least one image");
    // Capacity 0: the thread holds one finished batch until it is taken, then makes the next.
    let (sender, receiver) = sync_channel(0);
    let thread = std::thread::spawn(move || {
        let key = [u64::from(spec.epoch)];
        let order = KeyedRng::new(spec.seed, "order", &key).permutation(split.len());
        for places in order.chunks(spec.batch) {
            let batch = prepare(&split, places, &spec);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return; // The iterator was dropped, or there is nothing to go on with.
            }
        }
    });
    Ahead {
        receiver,
        thread: Some(thread),
    }
}

struct Ahead {
    receiver: Receiver<Result<Batch, DataError>>,
    thread: Option<JoinHandle<()>>,
}

impl Iterator for Ahead {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(batch) = self.receiver.recv() {
            return Some(batch);
        }
        // The end, or a panic: an epoch must not end early in silence.
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

/// Makes the views of the images at `places`.
fn prepare(split: &Split, places: &[usize], spec: &ViewSpec) -> Result<Batch, DataError> {
    let bytes = split.image_bytes();
    let mixed = match spec.augmix {
        true => (spec.augmix_count)(places.len()).min(places.len()),
        false => 0,
    };
    let mut clean = vec![0.0; places.len() * bytes];
    let mut augmixed = vec![0.0; mixed * bytes];
    // One slot an image; the images after `mixed` have no AugMix slot.
    let slots = augmixed.chunks_exact_mut(bytes).map(Some);
    let slots: Vec<_> = slots
        .chain(std::iter::repeat_with(|| None))
        .take(places.len())
        .collect();
    clean
        .par_chunks_exact_mut(bytes)
        .zip(slots)
        .zip(places)
        .try_for_each(|((clean, mixed), &place)| views(split, place, spec, clean, mixed))?;
    Ok(Batch {
        size: split.size,
        clean,
        augmix: augmixed,
        labels: places.iter().map(|&p| i64::from(split.labels[p])).collect(),
        indices: places.iter().map(|&p| split.indices[p]).collect(),
    })
}

/// The square of an image that cutout sets to zero: its centre is any pixel, what is beyond the image is cut off
/// (DeVries and Taylor, 2017).
#[derive(Clone, Copy)]
struct Square {
    size: usize,
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Square {
    fn draw(spec: &ViewSpec, size: usize, index: u32) -> Self {
        let mut rng = KeyedRng::new(spec.seed, "cutout", &[u64::from(spec.epoch), u64::from(index)]);
        let mut span = || {
            let centre = rng.below(size as u64) as usize;
            let from = centre.saturating_sub(spec.cutout / 2);
            (from, (centre + spec.cutout.div_ceil(2)).min(size))
        };
        Self {
            size,
            rows: span(),
            columns: span(),
        }
        .or_nothing(spec.cutout)
    }

    fn or_nothing(self, side: usize) -> Self {
        if side == 0 {
            Self { rows: (0, 0), ..self }
        } else {
            self
        }
    }

    /// Sets it to zero in a picture, `[size, size, 3]`.
    fn clear(self, view: &mut [u8]) {
        for y in self.rows.0..self.rows.1 {
            let row = y * self.size;
            view[(row + self.columns.0) * 3..(row + self.columns.1) * 3].fill(0);
        }
    }
}

/// An image as it is trained on, with the crop and flip that `view` names: whole pictures by a random
/// part of random shape, squares by a shift of a few pixels.
fn cropped(split: &Split, place: usize, spec: &ViewSpec, view: &str) -> Result<Vec<u8>, DataError> {
    let index = split.indices[place];
    if let Some(files) = split.files.as_ref().filter(|_| spec.augment) {
        let mut rng = KeyedRng::new(spec.seed, view, &[u64::from(spec.epoch), u64::from(index)]);
        if let Some(part) = files.part(place, &mut rng)? {
            return Ok(part.into_raw());
        }
    }
    let image = split.image(place)?;
    let crop = match spec.augment {
        true => CropFlip::draw(spec.seed, view, spec.epoch, index),
        false => CropFlip::IDENTITY,
    };
    let mut cropped = vec![0; image.len()];
    crop.apply(&image, split.size, &mut cropped);
    Ok(cropped)
}

/// Writes the views of one image.
fn views(
    split: &Split,
    place: usize,
    spec: &ViewSpec,
    clean: &mut [f32],
    mixed: Option<&mut [f32]>,
) -> Result<(), DataError> {
    let mut view = cropped(split, place, spec, "crop")?;
    let square = Square::draw(spec, split.size, split.indices[place]);
    square.clear(&mut view);
    to_chw(&view, clean);
    if let Some(out) = mixed {
        // With the same crop a second clean view would be the first.
        if !spec.shared_crop || spec.augmentation == Augmentation::None {
            view = cropped(split, place, spec, "crop.augmix")?;
            square.clear(&mut view);
        }
        let index = split.indices[place];
        let key = [u64::from(spec.epoch), u64::from(index)];
        let rng = |purpose| KeyedRng::new(spec.seed, purpose, &key);
        match spec.augmentation {
            Augmentation::Augmix => augmix(&view, split.size, &mut rng("augmix"), out),
            Augmentation::Gaussian => gaussian(&view, split.size, &mut rng("gaussian"), out),
            Augmentation::Pixmix => pixmix(&view, split.size, &mut rng("pixmix"), out),
            Augmentation::Corruption => {
                let refused = |why: rlnet_corruptions::Error| DataError::Augment {
                    image: index,
                    problem: why.to_string(),
                };
                to_chw(
                    corrupted(&view, split.size, spec.seed, &key)
                        .map_err(refused)?
                        .data(),
                    out,
                );
            }
            Augmentation::None => to_chw(&view, out),
        }
    }
    Ok(())
}

/// One of the four extra corruptions, which no benchmark's mean has, at a random severity, with the
/// parameters of the nearest published size.
fn corrupted(view: &[u8], size: usize, seed: u64, key: &[u64]) -> rlnet_corruptions::Result<Image> {
    let extra = Family::CExtra.corruptions();
    let mut rng = KeyedRng::new(seed, "corruption", key);
    let corruption = extra[rng.below(extra.len() as u64) as usize];
    let severity = Severity::ALL[rng.below(5) as usize];
    let nearest = match size {
        0..48 => ParameterSet::Cifar,
        48..144 => ParameterSet::TinyImagenet,
        _ => ParameterSet::Imagenet,
    };
    let generator = Generator::new(Options {
        parameters: Some(nearest),
        ..Options::default()
    });
    generator.corrupt(
        &Image::from_raw(size, size, view.to_vec())?,
        corruption,
        severity,
        &mut rng,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::data::shapes;

    const SPEC: ViewSpec = ViewSpec {
        seed: 5,
        epoch: 2,
        batch: 7,
        augment: true,
        augmix: true,
        augmentation: Augmentation::Augmix,
        shared_crop: true,
        augmix_count: |n| n,
        cutout: 0,
    };

    /// Images in memory always make batches.
    fn epoch(split: Arc<Split>, spec: ViewSpec) -> impl Iterator<Item = Batch> {
        super::epoch(split, spec).map(|batch| batch.expect("a batch"))
    }

    #[test]
    fn cutout_clears_one_square_of_every_view_and_nothing_else() {
        let whole = by_index(SPEC);
        let mut cleared = 0;
        for (index, (_, clean, _)) in by_index(ViewSpec { cutout: 8, ..SPEC }) {
            let before = &whole[&index].1;
            let changed = clean.iter().zip(before).filter(|(now, was)| now != was);
            assert!(changed.clone().all(|(now, _)| *now == 0.0), "image {index}");
            // A square of 8 x 8 on three channels, less what lies beyond the image.
            assert!(changed.count() <= 3 * 64, "image {index}");
            cleared += clean.iter().zip(before).filter(|(now, was)| now != was).count();
        }
        assert!(cleared > 60 * 3 * 16, "{cleared}");
    }

    fn images() -> Arc<Split> {
        // Official positions that are not places, as after a holdout.
        let all = shapes::generate(shapes::Class::Form, 120, 0, 0).train;
        let odd: Vec<usize> = (0..all.len()).filter(|i| i % 2 == 1).collect();
        Arc::new(all.select(&odd))
    }

    /// (label, clean, AugMix) by official index.
    fn by_index(spec: ViewSpec) -> BTreeMap<u32, (i64, Vec<f32>, Vec<f32>)> {
        let mut found = BTreeMap::new();
        for batch in epoch(images(), spec) {
            let bytes = 3 * batch.size * batch.size;
            assert_eq!(batch.clean.len(), batch.len() * bytes);
            for (k, &index) in batch.indices.iter().enumerate() {
                let of = |views: &[f32]| views.chunks_exact(bytes).nth(k).map(<[f32]>::to_vec);
                let clean = of(&batch.clean).unwrap_or_default();
                let mixed = of(&batch.augmix).unwrap_or_default();
                let twice = found.insert(index, (batch.labels[k], clean, mixed));
                assert!(twice.is_none(), "image {index} came twice");
            }
        }
        found
    }

    #[test]
    fn every_image_comes_once_with_its_label_and_the_last_batch_is_short() {
        let lengths: Vec<usize> = epoch(images(), SPEC).map(|b| b.len()).collect();
        assert_eq!(lengths, [7, 7, 7, 7, 7, 7, 7, 7, 4]);
        let found = by_index(SPEC);
        let indices: Vec<u32> = found.keys().copied().collect();
        assert_eq!(indices, images().indices);
        assert!(found.iter().all(|(i, v)| v.0 == i64::from(i % 10)));
    }

    #[test]
    fn a_view_does_not_depend_on_the_batch_size() {
        assert_eq!(by_index(SPEC), by_index(ViewSpec { batch: 64, ..SPEC }));
    }

    #[test]
    fn epochs_differ_in_order_and_views() {
        let first = |epoch_number| {
            let spec = ViewSpec {
                epoch: epoch_number,
                ..SPEC
            };
            epoch(images(), spec).next().map(|b| b.indices)
        };
        assert_eq!(first(2), first(2));
        assert_ne!(first(2), first(3));
        assert_ne!(by_index(SPEC), by_index(ViewSpec { epoch: 3, ..SPEC }));
    }

    #[test]
    fn only_the_leading_images_get_augmix_views() {
        let half = ViewSpec {
            augmix_count: |n| n / 2,
            ..SPEC
        };
        for (a, b) in epoch(images(), half).zip(epoch(images(), SPEC)) {
            let bytes = 3 * a.size * a.size;
            assert_eq!(a.augmix.len(), a.len() / 2 * bytes);
            assert_eq!(a.augmix, b.augmix[..a.augmix.len()]);
            assert_eq!(a.clean, b.clean);
        }
        let none = ViewSpec {
            augmix: false,
            ..SPEC
        };
        assert!(epoch(images(), none).all(|b| b.augmix.is_empty()));
    }

    #[test]
    fn without_augmentation_the_clean_view_is_the_image() {
        let split = images();
        for batch in epoch(
            split.clone(),
            ViewSpec {
                augment: false,
                ..SPEC
            },
        ) {
            let bytes = 3 * batch.size * batch.size;
            for (view, index) in batch.clean.chunks_exact(bytes).zip(&batch.indices) {
                let mut expected = vec![0.0; bytes];
                to_chw(
                    &split.image(*index as usize / 2).expect("in memory"),
                    &mut expected,
                );
                assert_eq!(view, expected);
            }
        }
    }

    #[test]
    fn a_shared_crop_changes_the_augmix_view_only() {
        let own = by_index(ViewSpec {
            shared_crop: false,
            ..SPEC
        });
        let shared = by_index(SPEC);
        assert!(own.iter().all(|(i, v)| v.1 == shared[i].1));
        let differ = own.iter().filter(|(i, v)| v.2 != shared[*i].2).count();
        // Own and shared crop agree with probability 1/162.
        assert!(differ > 50, "{differ} of 60 differ");
    }

    #[test]
    fn the_augmented_view_is_what_was_asked_for_and_the_clean_one_stays() {
        let of = |augmentation| by_index(ViewSpec { augmentation, ..SPEC });
        let kinds = [
            Augmentation::Augmix,
            Augmentation::Gaussian,
            Augmentation::Pixmix,
            Augmentation::Corruption,
            Augmentation::None,
        ];
        let views = kinds.map(of);
        for (kind, view) in kinds.iter().zip(&views) {
            assert!(view.iter().all(|(i, v)| v.1 == views[0][i].1), "{kind:?}");
            let others = views.iter().filter(|other| *other != view);
            assert_eq!(others.count(), 4, "{kind:?}");
            let values = view.values().flat_map(|v| &v.2);
            assert!(
                values.copied().all(|value| (0.0..=1.0).contains(&value)),
                "{kind:?}"
            );
        }
        // Nothing but crop and flip, its own: with neither it is the clean view.
        let still = by_index(ViewSpec {
            augmentation: Augmentation::None,
            augment: false,
            ..SPEC
        });
        assert!(still.values().all(|v| v.1 == v.2));
        assert!(views[4].values().filter(|v| v.1 == v.2).count() < 10);
    }

    #[test]
    fn an_epoch_can_be_left_early() {
        let mut batches = epoch(images(), SPEC);
        assert!(batches.next().is_some());
        drop(batches);
    }
}
