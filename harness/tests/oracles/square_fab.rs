//! Square and FAB beside the AutoAttack reference, image by image.

use crate::attacks::{Bench, share};

/// The reference ran seed 0 in one batch of 256; its stream is replayed.
fn replayed(name: &'static str, attack: &str, key: &str) {
    let Some(bench) = Bench::open(name) else {
        return;
    };
    let (ours, _) = bench.attack(attack, 0);
    let agree = bench.agreement(&ours, key);
    eprintln!("{name} {attack}: {agree} of 256, {}", share(&ours));
    assert!(agree >= 254, "{name} {attack}: {agree} of 256 agree");
}

#[test]
fn square_linf_standard() {
    replayed(
        "standard",
        "square:compat=autoattack",
        "autoattack_individual_linf_8_square",
    );
}
#[test]
fn square_linf_robust() {
    replayed(
        "robust",
        "square:compat=autoattack",
        "autoattack_individual_linf_8_square",
    );
}
#[test]
fn square_l2_standard() {
    replayed(
        "standard",
        "square:norm=l2,compat=autoattack",
        "autoattack_individual_l2_0.5_square",
    );
}
#[test]
fn square_l2_robust() {
    replayed(
        "robust",
        "square:norm=l2,compat=autoattack",
        "autoattack_individual_l2_0.5_square",
    );
}
