//! How many passes a stage makes: one is one image through a network once, the unit in which
//! evaluations count theirs.
//!
//! Kept in the checkpoint, so that a stage which was cut off and gone on with counts what an
//! uninterrupted one does: steps that are done again are counted again from where they start.

use crate::attack::Classifier;
use crate::error::Result;
use rlnet_suites::Branch;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use tch::{Device, Tensor};

/// The passes of a stage so far: training steps, their inner attacks, validation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Passes {
    /// Forward passes of the network that is trained.
    pub forwards: Cell<u64>,
    /// Backward passes of that network, to its weights or to the image.
    pub backwards: Cell<u64>,
    /// Forward passes of the frozen teacher; nothing is ever sent back through it.
    pub teacher_forwards: Cell<u64>,
}

impl Passes {
    /// Forward passes of this many images.
    pub fn forward(&self, images: i64) {
        add(&self.forwards, images);
    }

    /// Backward passes of this many images.
    pub fn backward(&self, images: i64) {
        add(&self.backwards, images);
    }

    /// Forward passes of this many images through the teacher.
    pub fn teacher(&self, images: i64) {
        add(&self.teacher_forwards, images);
    }
}

fn add(count: &Cell<u64>, images: i64) {
    count.set(count.get() + images.unsigned_abs());
}

/// The network that is trained, as its inner attack and its validation see it: counted.
pub struct Counted<'a> {
    /// What is passed through.
    pub model: &'a dyn Classifier,
    /// Where it is written down.
    pub passes: &'a Passes,
}

impl Classifier for Counted<'_> {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        let n = images.size()[0];
        self.passes.forward(n);
        // An attack asks for the gradient of the points it goes on from, and once.
        if images.requires_grad() {
            self.passes.backward(n);
        }
        self.model.logits(images, branch)
    }

    fn branches(&self) -> &[Branch] {
        self.model.branches()
    }

    fn device(&self) -> Device {
        self.model.device()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{attempt, spec};

    /// 24 training images in two steps of 12, 16 held-out ones, one epoch, all counted by hand.
    #[test]
    fn passes_are_those_counted_by_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let pgd7 = "training.attack=\"pgd:steps=7\"";
        let (robust, natural) = (
            "train.teacher.views=[\"clean\", \"adversarial\"]",
            "train.teacher.views=[\"clean\"]",
        );
        let single = "train.teacher.norm=single";
        // Validation of two banks by PGD-7: each 16 clean, 7 * 16 attacked, 16 judged.
        let (seen, sent) = (2 * (16 + 7 * 16 + 16), 2 * 7 * 16);
        let cases: [(&str, &[&str], [u64; 3]); 6] = [
            // A step: 6 images a role, one pass each and 7 of the attack.
            (
                "teacher",
                &[pgd7],
                [2 * (18 + 7 * 6) + seen, 2 * (18 + 7 * 6) + sent, 0],
            ),
            // The teacher sees all 12 clean views, and 6 AugMix views for their attention.
            (
                "rlnet",
                &[pgd7],
                [2 * (18 + 7 * 6) + seen, 2 * (18 + 7 * 6) + sent, 2 * (12 + 6)],
            ),
            // Sensitivities of 7 layers on 16 images; no attention.
            (
                "mask",
                &[pgd7, "train.mask.allocation=measured"],
                [
                    2 * (18 + 7 * 6) + seen,
                    2 * (18 + 7 * 6) + sent,
                    2 * 12 + 16 * (1 + 7),
                ],
            ),
            // All 12 images play both roles; TRADES attacks the distance to a clean pass of its own.
            (
                "teacher",
                &[pgd7, single, robust, "train.teacher.with.mode=trades-6"],
                [2 * (24 + 12 + 7 * 12) + seen / 2, 2 * (24 + 7 * 12) + sent / 2, 0],
            ),
            // Intervals take two passes more of the adversarial role, and IBP attacks nothing.
            (
                "teacher",
                &[pgd7, "train.teacher.with.certified=\"ibp:eps=1/255\""],
                [2 * (12 + 3 * 6) + seen, 2 * (12 + 3 * 6) + sent, 0],
            ),
            // Nothing is attacked, nor at validation.
            ("teacher", &[pgd7, single, natural], [24 + 16, 24, 0]),
        ];
        for (number, (stage, sets, counts)) in cases.into_iter().enumerate() {
            let work = folder.path().join(number.to_string());
            std::fs::create_dir(&work).expect("a folder");
            let trained = attempt(&spec(stage, sets), &work).expect("trained");
            let passes = trained.passes.expect("counted from the start");
            let got = [&passes.forwards, &passes.backwards, &passes.teacher_forwards];
            assert_eq!(got.map(std::cell::Cell::get), counts, "{stage} {sets:?}");
        }
    }
}
