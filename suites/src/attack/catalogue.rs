//! The registry: every attack that can be asked for, in the order in which they are listed.

use super::entry::AttackEntry;
use super::{
    alma, apgd, autoattack, cw, cw_linf, ddn, deepfool, fab, fgsm, fmn, linear_region, mifgsm, noise,
    overflow, pdgd, pgd, pma, radius, sigma_zero, square, superdeepfool,
};

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
