//! Which attacks form a sweep over the radius.

use super::axes::plain;
use crate::format;
use rlnet_suites::AttackSpec;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Attacks that differ only in radius, or whose step grows with the radius (both ways of
/// sweeping are in use); each attack in the largest family it fits.
pub(super) fn families(attacks: &[AttackSpec]) -> Vec<(String, Vec<AttackSpec>)> {
    // Families are lists of places, ascending: a report may have hundreds of attacks.
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (at, attack) in attacks.iter().enumerate() {
        let mut keys = vec![attack.family(), proportional(attack)];
        keys.dedup();
        for key in keys {
            let group = *known.entry(key.clone()).or_insert(groups.len());
            match groups.get_mut(group) {
                Some((_, members)) => members.push(at),
                None => groups.push((key, vec![at])),
            }
        }
    }
    groups.retain(|(_, group)| group.len() > 1);
    // Each attack is in two families at most, so only those that share one are looked at.
    let mut holding: Vec<Vec<usize>> = vec![Vec::new(); attacks.len()];
    for (place, (_, group)) in groups.iter().enumerate() {
        group.iter().for_each(|at| holding[*at].push(place));
    }
    let covered = |(place, group): (usize, &Vec<usize>)| {
        let others = holding[group[0]].iter().copied().filter(|other| *other != place);
        let inside = |other: &usize| group.iter().all(|at| groups[*other].1.binary_search(at).is_ok());
        // Of two equal groups the first stays.
        others
            .filter(inside)
            .any(|other| groups[other].1.len() > group.len() || other < place)
    };
    let places = groups
        .iter()
        .enumerate()
        .map(|(place, (_, group))| (place, group));
    let kept: Vec<&Vec<usize>> = places
        .filter(|group| !covered(*group))
        .map(|(_, group)| group)
        .collect();
    let family = |group: &Vec<usize>| {
        let mut family: Vec<AttackSpec> = group.iter().map(|at| attacks[*at].clone()).collect();
        family.sort_by(|a, b| a.eps().partial_cmp(&b.eps()).unwrap_or(Ordering::Equal));
        (title(&family), family)
    };
    kept.into_iter().map(family).collect()
}

/// The family by the step's share of the radius.
fn proportional(attack: &AttackSpec) -> String {
    let (Some(step), Some(eps)) = (attack.step_size(), attack.eps().filter(|eps| *eps > 0.0)) else {
        return attack.family();
    };
    let rest = attack
        .params()
        .iter()
        .filter(|(name, _)| !["eps", "alpha"].contains(*name));
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}:{}:step/eps={:.4}", attack.name(), rest.join(","), step / eps)
}

fn title(group: &[AttackSpec]) -> String {
    let name = format::attack(&group[0], &group[..1]);
    let name = name
        .rsplit_once(", ")
        .map_or(name.as_str(), |(name, _)| name)
        .to_owned();
    let steps: Vec<f64> = group.iter().filter_map(AttackSpec::step_size).collect();
    let (Some(&step), Some(eps)) = (steps.first(), group[0].eps()) else {
        return name;
    };
    if step <= 0.0 {
        return name;
    }
    if steps.iter().all(|other| (other - step).abs() < 1e-9) {
        format!("{name}, step {}/255", plain(step * 255.0))
    } else {
        format!("{name}, step {} of the radius", plain(step / eps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_found_whether_its_step_is_fixed_or_grows() {
        let parse = |texts: &[&str]| -> Vec<AttackSpec> {
            texts
                .iter()
                .map(|text| text.parse().expect("an attack"))
                .collect()
        };
        let grows = parse(&[
            "fgsm",
            "pgd:steps=10,eps=2/255,alpha=0.5/255",
            "pgd:steps=10,eps=4/255,alpha=1/255",
            "pgd:steps=10",
        ]);
        let found = families(&grows);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].0.as_str(), found[0].1.len()),
            ("PGD-10, step 0.25 of the radius", 3)
        );
        let fixed = parse(&[
            "fgsm:eps=2/255",
            "fgsm:eps=8/255",
            "pgd:eps=4/255",
            "pgd:eps=8/255",
        ]);
        let titles: Vec<String> = families(&fixed).into_iter().map(|(title, _)| title).collect();
        assert_eq!(titles, ["FGSM", "PGD-20, step 2/255"]);
    }
}
