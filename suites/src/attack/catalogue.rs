//! The registry: every attack that can be asked for, in the order in which they are listed.

use super::entry::AttackEntry;
use super::{
    alma, apgd, autoattack, cw, cw_linf, ddn, deepfool, fab, fgsm, fmn, linear_region, mifgsm, noise,
    overflow, pdgd, pgd, pma, radius, sigma_zero, square, superdeepfool,
};
use std::sync::OnceLock;

/// Every attack of this program.
pub static CATALOGUE: &[&AttackEntry] = &[
    &fgsm::FGSM,
    &fgsm::RFGSM,
    &fgsm::FFGSM,
    &fgsm::NFGSM,
    &pgd::BIM,
    &pgd::PGD,
    &mifgsm::MIFGSM,
    &noise::NOISE,
    &apgd::APGD_CE,
    &apgd::APGD_DLR,
    &apgd::APGD_PM,
    &apgd::APGD_T,
    &pma::PMA,
    &linear_region::LINEAR_REGION,
    &fab::FAB,
    &fab::FAB_T,
    &square::SQUARE,
    &autoattack::AUTOATTACK,
    &autoattack::AUTOATTACK_PLUS,
    &cw::CW,
    &cw_linf::CW_LINF,
    &deepfool::DEEPFOOL,
    &superdeepfool::SUPERDEEPFOOL,
    &ddn::DDN,
    &pdgd::PDGD,
    &pdgd::PDPGD,
    &alma::ALMA,
    &fmn::FMN,
    &sigma_zero::SIGMA_ZERO,
    &radius::RADIUS,
    &overflow::OVERFLOW,
];

/// What [`register`] added.
static REGISTERED: OnceLock<&'static [&'static AttackEntry]> = OnceLock::new();

/// Adds the attacks of a program that is built on this crate: from then on they are read, ranked, costed, listed and
/// reported as those of the [`CATALOGUE`]. Once in a process, before any attack is read; gives whether it was the
/// first time.
pub fn register(entries: &'static [&'static AttackEntry]) -> bool {
    REGISTERED.set(entries).is_ok()
}

/// Every attack that can be asked for.
pub fn all() -> impl Iterator<Item = &'static AttackEntry> {
    CATALOGUE
        .iter()
        .chain(REGISTERED.get().copied().unwrap_or_default())
        .copied()
}
