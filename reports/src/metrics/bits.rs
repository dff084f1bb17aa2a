//! Yes-or-no answers to images as bits, 64 to a word, so that comparing two conditions costs a
//! few instructions a word: reports compare every attack with every other.

use std::sync::Arc;

/// One bit an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Packs one value an image.
    pub fn pack(values: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::new();
        for (i, value) in values.enumerate() {
            if i % 64 == 0 {
                words.push(0);
            }
            words[i / 64] |= u64::from(value) << (i % 64);
        }
        Self(words)
    }

    /// Ones.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Ones that both have.
    pub fn shared(&self, other: &Self) -> u64 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| u64::from((a & b).count_ones())).sum()
    }
}

/// Whether some images are answered right, where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Positions in the test set, ascending; a bit of each belongs to one of them.
    images: Arc<[u32]>,
    right: Bits,
    wrong: Bits,
}

impl Answers {
    /// The answers to `images` (ascending), absent where not known.
    pub fn of(images: &Arc<[u32]>, right: &[Option<bool>]) -> Self {
        let is = |wanted: bool| Bits::pack(right.iter().map(|known| *known == Some(wanted)));
        Self {
            images: images.clone(),
            right: is(true),
            wrong: is(false),
        }
    }

    /// Right answers.
    pub fn right(&self) -> u64 {
        self.right.count()
    }

    /// Answers, right or wrong.
    pub fn known(&self) -> u64 {
        self.right.count() + self.wrong.count()
    }

    /// Images on which only this is right, only the other, and that both answered.
    pub fn against(&self, other: &Self) -> (u64, u64, u64) {
        if !Arc::ptr_eq(&self.images, &other.images) && self.images != other.images {
            return self.against(&other.over(&self.images));
        }
        let (this, that) = (self.right.shared(&other.wrong), self.wrong.shared(&other.right));
        let alike = self.right.shared(&other.right) + self.wrong.shared(&other.wrong);
        (this, that, this + that + alike)
    }

    /// The same answers laid out over other images; those that it has not are not known.
    fn over(&self, images: &Arc<[u32]>) -> Self {
        let at = |place: usize| match self.bit(place) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let found = images
            .iter()
            .map(|image| self.images.binary_search(image).ok().and_then(at));
        Self::of(images, &found.collect::<Vec<_>>())
    }

    fn bit(&self, place: usize) -> (bool, bool) {
        let of = |bits: &Bits| bits.0[place / 64] >> (place % 64) & 1 == 1;
        (of(&self.right), of(&self.wrong))
    }
}

/// Answers by image, images ascending.
impl FromIterator<(u32, bool)> for Answers {
    fn from_iter<I: IntoIterator<Item = (u32, bool)>>(answers: I) -> Self {
        let (images, right): (Vec<u32>, Vec<Option<bool>>) = answers
            .into_iter()
            .map(|(image, right)| (image, Some(right)))
            .unzip();
        Self::of(&images.into(), &right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_over_words_are_those_of_single_images() {
        // 200 images: more than three words, the last one not full.
        let images: Arc<[u32]> = (0..200).map(|i| 3 * i).collect();
        let known = |of: fn(u32) -> bool, unless: u32| -> Vec<Option<bool>> {
            let all = images
                .iter()
                .map(|image| (image % unless != 0).then(|| of(*image)));
            all.collect()
        };
        let (a, b) = (known(|i| i % 2 == 0, 7), known(|i| i % 5 < 3, 11));
        let (mut this, mut that, mut both) = (0, 0, 0);
        for pair in a.iter().zip(&b) {
            if let (Some(a), Some(b)) = pair {
                both += 1;
                this += u64::from(*a && !b);
                that += u64::from(!a && *b);
            }
        }
        let right = a.iter().filter(|right| **right == Some(true)).count() as u64;
        let known = a.iter().flatten().count() as u64;
        let (a, b) = (Answers::of(&images, &a), Answers::of(&images, &b));
        assert_eq!(a.against(&b), (this, that, both));
        assert_eq!(b.against(&a), (that, this, both));
        assert_eq!((a.right(), a.known()), (right, known));
    }
}
