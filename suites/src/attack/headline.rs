//! The attack whose accuracy is called AdvA, where a suite does not name it: the strongest kind
//! that was asked for. It is chosen from the specifications alone, before anything is run, in
//! the order of `docs/attacks/README.md`: a headline picked by its result would be the least of
//! several numbers, and another attack from one model to the next.

use super::{Access, AttackSpec, BranchChoice, Goal, Loss, Norm, Start, Surrogate, all, is_inside};

/// From this Linf radius on any image can be turned into the same grey one: an attack so large
/// is a control, and leaves nothing of an honest network.
pub const UNBOUNDED: f64 = 0.5;

/// How well an attack stands for all; the larger the better, field by field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    standing: u8,
    kind: u8,
    effort: usize,
    loss: u8,
    norm: u8,
    /// The radius as bits: of positive numbers the larger has the larger bits.
    eps: u64,
}

/// The attacks that can be AdvA, by kind, the strongest kind first; without those that see logits only.
pub fn kinds() -> Vec<Vec<&'static str>> {
    let strongest = all().map(|entry| entry.rank).max().unwrap_or(0);
    let of = |rank: u8| {
        all()
            .filter(move |entry| entry.rank == rank)
            .map(|entry| entry.name)
    };
    (1..=strongest).rev().map(|rank| of(rank).collect()).collect()
}

impl AttackSpec {
    /// Of some attacks the one whose accuracy stands for all. Nothing when none can: controls
    /// (`noise`, a radius that allows any image), attacks on the arithmetic, on corrupted images and those without
    /// a radius, which break every image at some distance, have no accuracy under attack.
    pub fn headline(attacks: &[Self]) -> Option<&Self> {
        let ranked = attacks.iter().filter_map(|attack| Some((attack.rank()?, attack)));
        // Of equals `max_by` takes the last.
        let best = ranked.max_by(|(a, _), (b, _)| a.cmp(b));
        best.map(|(_, attack)| attack)
    }

    /// How far its steps carry a point together, in the ball's norm; nothing for an attack that chooses its
    /// own steps. A step takes a forward and a backward pass, where passes are limited.
    pub fn reach(&self) -> Option<f64> {
        let steps = self.steps().unwrap_or(1);
        let most = self
            .most_passes()
            .map_or(steps, |passes| passes / (2 * self.eot()));
        Some(self.step_size()? * steps.min(most) as f64)
    }

    /// Whether its steps are too few or too small to bring a point to its radius from where they begin: the
    /// image, or a random point, from which it is half the way. Such an attack is little more than its start,
    /// and its accuracy stands for no other.
    pub fn falls_short(&self) -> bool {
        let way = if self.start() == Some(Start::Uniform) {
            0.5
        } else {
            1.0
        };
        let short = |(reach, radius): (f64, f64)| !is_inside(radius * way, reach);
        self.reach().zip(self.radius()).is_some_and(short)
    }

    /// Whether an honest network has to fall to it: a search that follows this network (or its logits)
    /// and reaches every image. `noise` searches nothing, and one step goes only where the first
    /// gradient points.
    pub fn must_break_everything(&self) -> bool {
        let entry = self.entry();
        let one_step = entry.access == Access::Gradients && (entry.passes)(self) <= 2.0;
        let searches =
            entry.access != Access::Nothing && !entry.overflows && !one_step && self.standing() > 0;
        let Some(eps) = self.radius().filter(|_| searches && self.norm() == Norm::Linf) else {
            return false;
        };
        self.reach().map_or(eps, |reach| eps.min(reach)) >= UNBOUNDED
    }

    fn rank(&self) -> Option<Rank> {
        let entry = self.entry();
        let eps = self.radius()?;
        let unbounded = self.norm() == Norm::Linf && eps >= UNBOUNDED;
        let is_other = self.is_certificate() || entry.access == Access::Nothing || entry.overflows;
        let aimed = self.goal() != Goal::Any;
        if is_other || unbounded || aimed || self.base().is_some() || self.falls_short() {
            return None;
        }
        let efforts = [self.steps(), self.restarts(), self.targets(), self.queries()];
        let effort = efforts
            .into_iter()
            .flatten()
            .fold((entry.effort)(self), usize::saturating_mul);
        Some(Rank {
            standing: self.standing(),
            kind: entry.rank,
            effort,
            loss: match self.loss() {
                Loss::KlTeacher => 0,
                Loss::Dlr | Loss::Margin | Loss::ProbabilityMargin => 1,
                Loss::CrossEntropy => 2,
            },
            norm: match self.norm() {
                Norm::Linf => 2,
                Norm::L2 => 1,
                Norm::L1 | Norm::L0 => 0,
            },
            eps: eps.to_bits(),
        })
    }

    /// What it follows: the attacked network through the attacked branch, through all branches,
    /// its logits alone, or another network or branch.
    fn standing(&self) -> u8 {
        let own_network = self.surrogate() == Surrogate::Own;
        match (self.entry().access, self.branch()) {
            (Access::Logits, _) => 1,
            (_, BranchChoice::Same) if own_network => 3,
            (_, BranchChoice::All) if own_network => 2,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{CATALOGUE, group};

    fn chosen(texts: &[&str]) -> Option<String> {
        let attacks: Vec<AttackSpec> = texts.iter().flat_map(|text| group(text).expect(text)).collect();
        AttackSpec::headline(&attacks).map(ToString::to_string)
    }

    #[test]
    fn the_strongest_kind_asked_for_is_chosen_in_any_order_of_asking() {
        for (texts, wanted) in [
            (&["fgsm", "pgd:steps=20", "apgd-ce", "noise"][..], "apgd-ce"),
            (&["autoattack", "adaptive"], "autoattack"),
            (&["adaptive"], "white-box"),
            (&["diagnosis"], "apgd-ce"),
            (&["apgd-t", "apgd-ce:steps=1000", "square", "fab-t"], "apgd-t"),
            (
                &["pgd:steps=10", "pgd:steps=7,restarts=2", "bim:steps=99"],
                "pgd:steps=7,restarts=2",
            ),
            (
                &[
                    "pgd:steps=50,base=fog/3",
                    "pgd:surrogate=teacher,steps=99",
                    "fgsm",
                ],
                "fgsm",
            ),
            (
                &["pgd:eps=4/255", "pgd:eps=8/255", "pgd:eps=1", "pgd:norm=l2"],
                "pgd:eps=8/255",
            ),
            (&["apgd-dlr", "apgd-ce"], "apgd-ce"),
            (
                &["autoattack:version=plus", "autoattack"],
                "autoattack:version=plus",
            ),
            (&["square", "deepfool", "noise"], "square"),
            (&["pgd:branch=clean", "agnostic"], "agnostic"),
            (&["pgd:surrogate=teacher", "cw"], "pgd:surrogate=teacher"),
        ] {
            let wanted = wanted.parse::<AttackSpec>().expect(wanted).to_string();
            assert_eq!(chosen(texts).as_deref(), Some(wanted.as_str()), "{texts:?}");
            let turned: Vec<&str> = texts.iter().rev().copied().collect();
            assert_eq!(chosen(&turned).as_deref(), Some(wanted.as_str()), "{turned:?}");
        }
        // Equals: the last named.
        let both = ["pgd:start=zero", "pgd:start=uniform"];
        assert!(chosen(&both).expect("one").contains("start=uniform"));
    }

    #[test]
    fn what_cannot_reach_its_radius_is_never_chosen() {
        let spec = |text: &str| text.parse::<AttackSpec>().expect(text);
        for text in [
            "pgd:alpha=0.01/255",
            "pgd:alpha=2/255,steps=1",
            "pgd:alpha=1/255,steps=7,start=zero",
            "bim:steps=3",
            "mifgsm:alpha=0.01/255,steps=700",
            "mifgsm:alpha=1/255,steps=7,momentum=0",
            "ffgsm:alpha=7/255",
            "pgd:norm=l2,alpha=0.01,steps=20",
            "pgd:norm=l1,alpha=0.1,steps=20",
            "pgd:alpha=1e-30,steps=1000",
        ] {
            assert!(spec(text).falls_short(), "{text}");
            // Beside the weakest of all that reach, and alone.
            assert_eq!(chosen(&[text, "fgsm"]), Some(spec("fgsm").to_string()), "{text}");
            assert_eq!(chosen(&[text]), None, "{text}");
        }
        for text in [
            "fgsm",
            "rfgsm",
            "ffgsm",
            "pgd",
            "pgd:steps=2",
            "pgd:alpha=0.2/255,steps=20",
            "pgd:alpha=1/255,steps=8,start=zero",
            "pgd:eps=0.1/255,alpha=0.01/255,steps=10,start=zero",
            "mifgsm:alpha=0.8/255",
            "apgd-ce:steps=1",
            "square:queries=1",
            "pgd:norm=l1",
            "noise",
            "fmn:alpha=0.001",
        ] {
            assert!(!spec(text).falls_short(), "{text}");
        }
    }

    #[test]
    fn controls_have_no_accuracy_under_attack() {
        assert_eq!(chosen(&["noise", "joint", "cw", "radius", "pgd:eps=1"]), None);
    }

    #[test]
    fn only_a_search_that_reaches_every_image_must_break_everything() {
        let must = |text: &str| text.parse::<AttackSpec>().expect(text).must_break_everything();
        for text in [
            "pgd:eps=1,alpha=0.25",
            "apgd-ce:eps=0.5",
            "square:eps=1",
            "pgd:eps=1,alpha=0.1,branch=all",
        ] {
            assert!(must(text), "{text}");
        }
        for text in [
            "noise:eps=1",
            "noise:norm=l2,eps=3",
            "fgsm:eps=1",
            "ffgsm:eps=1,alpha=1",
            "pgd:eps=1,alpha=1/255,steps=20",
            "pgd:eps=1,alpha=0.25,surrogate=teacher",
            "pgd:eps=1,alpha=0.25,branch=clean",
            "apgd-ce:norm=l2,eps=1",
            "apgd-ce",
        ] {
            assert!(!must(text), "{text}");
        }
    }

    #[test]
    fn every_attack_of_the_catalogue_has_its_place() {
        for entry in CATALOGUE {
            let spec: AttackSpec = entry.name.parse().expect(entry.name);
            let without = entry.minimum_norm || entry.overflows || entry.access == Access::Nothing;
            assert_eq!(spec.rank().is_none(), without, "{}", entry.name);
            assert!(
                without || entry.access == Access::Logits || entry.rank > 0,
                "{}",
                entry.name
            );
        }
    }
}
