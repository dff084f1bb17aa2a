//! The registry: every attack that can be asked for, in the order in which they are listed.

use super::entry::AttackEntry;
use super::{apgd, autoattack, cw, deepfool, fab, fgsm, fmn, mifgsm, noise, overflow, pgd, radius, square};

/// Every attack.
pub static CATALOGUE: &[&AttackEntry] = &[
    &fgsm::FGSM,
    &fgsm::RFGSM,
    &fgsm::FFGSM,
    &pgd::BIM,
    &pgd::PGD,
    &mifgsm::MIFGSM,
    &noise::NOISE,
    &apgd::APGD_CE,
    &apgd::APGD_DLR,
    &apgd::APGD_T,
    &fab::FAB,
    &fab::FAB_T,
    &square::SQUARE,
    &autoattack::AUTOATTACK,
    &cw::CW,
    &deepfool::DEEPFOOL,
    &fmn::FMN,
    &radius::RADIUS,
    &overflow::OVERFLOW,
];
