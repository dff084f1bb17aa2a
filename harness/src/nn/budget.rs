//! From a ReLU budget to a count a layer: `keep_l = min(N_l, share of what remains)`, the
//! capped excess redistributed, whole numbers, summing to the budget exactly.
//!
//! Source: the rule behind the published ResNet18 lists (SENet, Kundu et al., ICLR 2023;
//! the reference's sensitivity_list.yaml), recovered from the lists themselves.

use rlnet_suites::SuiteError;
use rlnet_suites::train::{Allocation, Budget};

/// SENet's ReLU sensitivities of ResNet18's 17 layers, from the published Tiny-ImageNet 150k
/// list (no layer of it is capped, so it shows the weights themselves). Sums to 1.
const W18: [f64; 17] = [
    0.005716, 0.018540, 0.021286, 0.025065, 0.027584, 0.035485, 0.048835, 0.051016, 0.055676, 0.067388,
    0.081432, 0.082766, 0.086233, 0.094095, 0.099020, 0.099863, 0.100000,
];

/// Units to keep in each layer of `sizes` (units a layer, in execution order). Without a
/// budget, a published list gives its own counts, `floor(share * units)`.
///
/// `measured` are the layers' measured sensitivities, asked for by [`Allocation::Measured`].
///
/// # Errors
/// When the budget is larger than all the layers together, when there is neither a budget nor
/// a list, when a list is for another number of layers or (its own counts) for other layers, or
/// when sensitivities are missing.
pub fn allocate(
    sizes: &[u64],
    budget: Option<Budget>,
    rule: Allocation,
    measured: Option<&[f64]>,
) -> Result<Vec<u64>, SuiteError> {
    let refuse = |why: String| SuiteError::value("allocation", rule, why);
    if let Allocation::Published(list) = rule {
        if list.keep.len() != sizes.len() {
            return Err(refuse(format!(
                "it is for {} with {} ReLU layers, this network has {}",
                list.arch,
                list.keep.len(),
                sizes.len()
            )));
        }
        if budget.is_none() {
            let counts = list.keep.iter().zip(sizes);
            let counts: Vec<u64> = counts
                .map(|(share, &n)| (share * n as f64).floor() as u64)
                .collect();
            let kept: u64 = counts.iter().sum();
            if kept != list.relus {
                return Err(refuse(format!(
                    "it keeps {} units of {} at {} pixels, and would keep {kept} of this network; give a budget \
                     to take its proportions",
                    list.relus, list.arch, list.image_size
                )));
            }
            return Ok(counts);
        }
    }
    let budget = budget.ok_or_else(|| refuse("needs a budget: 50k, or a reduction: 11.14x".into()))?;
    let budget = budget.resolve(sizes.iter().sum())?;
    let weights: Vec<f64> = match rule {
        Allocation::Uniform => sizes.iter().map(|&n| n as f64).collect(),
        Allocation::Equal => vec![1.0; sizes.len()],
        Allocation::Sensitivity => (0..sizes.len()).map(|l| sensitivity(l, sizes.len())).collect(),
        Allocation::Published(list) => list
            .keep
            .iter()
            .zip(sizes)
            .map(|(share, &n)| share * n as f64)
            .collect(),
        Allocation::Measured => match measured {
            Some(weights) if weights.len() == sizes.len() => weights.to_vec(),
            _ => {
                let why = "needs a trained all-ReLU network to be measured on; `rlnet model sensitivity` shows \
                           its sensitivities";
                return Err(refuse(why.into()));
            }
        },
    };
    Ok(share(sizes, &weights, budget))
}

/// The rule: every layer gets its weight's share of what remains, at most all its units; what
/// a capped layer leaves goes to the others by weight. `budget` is at most the sum of `sizes`.
fn share(sizes: &[u64], weights: &[f64], budget: u64) -> Vec<u64> {
    let mut exact = vec![0.0; sizes.len()];
    let mut open: Vec<usize> = (0..sizes.len()).collect();
    let mut remaining = budget as f64;
    // Each round either caps a layer or is the last.
    while !open.is_empty() {
        let sum: f64 = open.iter().map(|&l| weights[l]).sum();
        // Layers that nothing distinguishes share by size.
        let shares: Vec<f64> = if sum > 0.0 {
            open.iter().map(|&l| weights[l] / sum * remaining).collect()
        } else {
            let units: u64 = open.iter().map(|&l| sizes[l]).sum();
            open.iter()
                .map(|&l| sizes[l] as f64 / units.max(1) as f64 * remaining)
                .collect()
        };
        let mut still = Vec::new();
        for (&l, &share) in open.iter().zip(&shares) {
            exact[l] = share.min(sizes[l] as f64);
            if share < sizes[l] as f64 {
                still.push(l);
            } else {
                remaining -= sizes[l] as f64;
            }
        }
        if still.len() == open.len() {
            break;
        }
        open = still;
    }
    round(&exact, sizes, budget)
}

/// The same counts in whole channels (`shapes` are `[C, H, W]`): in each layer as many as fit, then one
/// more where the largest share of a channel was lost, as long as one fits into what is left of the
/// sum. So the sum is the budget, or the nearest below it that channels can make up.
///
/// # Errors
/// When no channel of any layer is as small as the budget: nothing would be kept.
pub fn whole_channels(shapes: &[[u64; 3]], keep: &[u64]) -> Result<Vec<u64>, SuiteError> {
    let areas: Vec<u64> = shapes.iter().map(|[_, h, w]| (h * w).max(1)).collect();
    let budget: u64 = keep.iter().sum();
    let mut whole: Vec<u64> = keep
        .iter()
        .zip(&areas)
        .map(|(&keep, area)| keep / area * area)
        .collect();
    let mut left = budget - whole.iter().sum::<u64>();
    let lost = |l: usize| (keep[l] % areas[l]) as f64 / areas[l] as f64;
    let mut order: Vec<usize> = (0..keep.len()).collect();
    order.sort_by(|&a, &b| lost(b).total_cmp(&lost(a)).then(a.cmp(&b)));
    loop {
        let before = left;
        for &l in &order {
            if areas[l] <= left && whole[l] < shapes[l].iter().product() {
                whole[l] += areas[l];
                left -= areas[l];
            }
        }
        if left == before {
            break;
        }
    }
    let smallest = areas.iter().min().copied().unwrap_or(0);
    if budget > 0 && left == budget {
        let why =
            format!("the smallest channel of this network has {smallest} units, so that none would be kept");
        let cure =
            format!("{why}; raise the budget to {smallest} or more, or leave granularity = \"channel\" out");
        return Err(SuiteError::value("budget", budget, cure));
    }
    Ok(whole)
}

/// The W18 curve at layer `l` of `n`, by relative depth; W18 itself when `n` is 17.
fn sensitivity(l: usize, n: usize) -> f64 {
    if n == 1 {
        return W18[16];
    }
    let at = l as f64 / (n - 1) as f64 * 16.0;
    let below = (at.floor() as usize).min(15);
    W18[below] + (at - below as f64) * (W18[below + 1] - W18[below])
}

/// Largest-remainder rounding under the caps.
fn round(exact: &[f64], sizes: &[u64], budget: u64) -> Vec<u64> {
    let mut keep: Vec<u64> = exact
        .iter()
        .zip(sizes)
        .map(|(&share, &size)| (share.floor() as u64).min(size))
        .collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    let remainder = |l: usize| exact[l] - exact[l].floor();
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let mut missing = budget.saturating_sub(keep.iter().sum());
    while missing > 0 {
        for &l in &order {
            if missing > 0 && keep[l] < sizes[l] {
                keep[l] += 1;
                missing -= 1;
            }
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, ReluMask};
    use rlnet_suites::LayerRecord;
    use rlnet_suites::published::{self, PublishedBudget};

    /// Layer sizes of the list's network on its own data set.
    fn sizes_of(list: &PublishedBudget) -> Vec<u64> {
        let arch: Arch = list.arch.parse().expect("an architecture");
        let layers = arch.survey(list.image_size, 10).layers;
        layers.iter().map(LayerRecord::total).collect()
    }

    /// Whole units of each list, and what the reference's strict threshold leaves of them, one
    /// fewer a layer: both counted from the reference's file.
    const COUNTS: [(&str, u64, u64); 20] = [
        ("ResNet18_c100_relu82k", 82_650, 82_633),
        ("ResNet18_c100_relu50k", 49_967, 49_950),
        ("ResNet18_c100_relu25k", 25_321, 25_304),
        ("ResNet18_c100_relu100k", 99_982, 99_965),
        ("ResNet18_c100_relu120k", 119_762, 119_745),
        ("ResNet34_C100_relu200k", 200_139, 200_106),
        ("ResNet34_C100_relu80k", 79_965, 79_932),
        ("ResNet34_C100_relu50k", 50_098, 50_065),
        ("ResNet34_C100_relu25k", 25_059, 25_026),
        ("VGG16bn_C10_relu29k", 28_795, 28_782),
        ("VGG16bn_C10_relu49k", 48_540, 48_527),
        ("VGG16bn_C10_relu120k", 119_698, 119_685),
        ("VGG16bn_C10_relu12.5k", 5_671, 5_658),
        ("ResNet18_C10_relu150k", 148_892, 148_875),
        ("ResNet18_C10_relu82k", 82_650, 82_633),
        ("WRN22_8_C100_relu240k", 239_426, 239_407),
        ("WRN22_8_C100_relu300k", 299_305, 299_286),
        ("ResNet18_imagenet_relu300k", 301_852, 301_835),
        ("ResNet18_tiny_imagenet_relu150k", 149_991, 149_974),
        ("ResNet18_tiny_imagenet_relu300k", 299_990, 299_973),
    ];

    #[test]
    fn every_published_list_keeps_what_was_counted_from_it() {
        assert_eq!(published::budgets().len(), COUNTS.len());
        for (name, whole, strict) in COUNTS {
            let list = published::find(name).expect(name);
            let sizes = sizes_of(list);
            let keep = allocate(&sizes, None, Allocation::Published(list), None).expect(name);
            assert_eq!(keep.iter().sum::<u64>(), whole, "{name}");
            assert_eq!(list.relus, whole, "{name}");
            // No two scores alike: the strict threshold loses the threshold itself.
            let scores: Vec<Vec<f64>> = sizes
                .iter()
                .map(|&n| (0..n).map(|u| u as f64).collect())
                .collect();
            assert_eq!(
                ReluMask::above_threshold(&scores, &keep)
                    .kept()
                    .iter()
                    .sum::<u64>(),
                strict,
                "{name}"
            );
        }
    }

    /// Largest difference of the rule to a list, as a share of a layer's units.
    fn worst(name: &str, budget: u64) -> f64 {
        let list = published::find(name).expect(name);
        let sizes = sizes_of(list);
        let keep =
            allocate(&sizes, Some(Budget::Count(budget)), Allocation::Sensitivity, None).expect("fits");
        assert_eq!(keep.iter().sum::<u64>(), budget);
        let off = |((&keep, &size), &share): ((&u64, &u64), &f64)| (keep as f64 / size as f64 - share).abs();
        keep.iter()
            .zip(&sizes)
            .zip(&list.keep)
            .map(off)
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_rule_gives_the_published_resnet18_lists_back() {
        // Lists of six digits to a unit of the smallest layer (1 in 32,768); the others to what
        // their two to five digits leave.
        for (name, budget, tolerance) in [
            ("ResNet18_tiny_imagenet_relu150k", 150_000, 4e-5),
            ("ResNet18_tiny_imagenet_relu300k", 300_000, 4e-5),
            ("ResNet18_c100_relu100k", 100_000, 0.001),
            ("ResNet18_c100_relu120k", 120_000, 0.002),
            ("ResNet18_C10_relu150k", 150_000, 0.011),
            ("ResNet18_imagenet_relu300k", 300_000, 0.006),
        ] {
            let worst = worst(name, budget);
            assert!(worst < tolerance, "{name}: {worst}");
        }
        // And one that is known not to follow it.
        assert!(worst("ResNet18_c100_relu82k", 82_650) > 0.2);
    }

    #[test]
    fn any_budget_is_met_exactly_and_no_layer_overflows() {
        let sizes = [1024, 512, 512, 7];
        let rules = [
            Allocation::Sensitivity,
            Allocation::Uniform,
            Allocation::Equal,
            Allocation::Measured,
        ];
        for budget in [1, 2, 100, 1027, 2054, 2055] {
            for rule in rules {
                let measured = [0.0, 3.0, 0.0, 1.0];
                let keep =
                    allocate(&sizes, Some(Budget::Count(budget)), rule, Some(&measured)).expect("fits");
                assert_eq!(keep.iter().sum::<u64>(), budget, "{rule}");
                assert!(keep.iter().zip(sizes).all(|(&k, n)| k <= n), "{rule}");
            }
        }
        let equal = allocate(&sizes, Some(Budget::Count(307)), Allocation::Equal, None).expect("fits");
        assert_eq!(equal, [100, 100, 100, 7]);
        let uniform =
            allocate(&sizes, Some(Budget::Reduction(2.0)), Allocation::Uniform, None).expect("fits");
        assert_eq!(uniform, [512, 256, 256, 4]);
    }

    #[test]
    fn a_budget_in_whole_channels_is_the_nearest_that_there_is() {
        // Channels of 1024, 256 and 64 units.
        let shapes = [[4, 32, 32], [8, 16, 16], [16, 8, 8]];
        for (keep, whole) in [
            // All of it was lost before; one channel of the last layer is the budget.
            ([3, 11, 50], [0, 0, 64]),
            ([40, 40, 40], [0, 0, 64]),
            // 1236 are lost: 1024 go to the layer that lost most of a channel, 192 to the smallest.
            ([1000, 200, 100], [1024, 0, 256]),
            ([1500, 300, 65], [1024, 512, 320]),
            // Whole channels stay as they are.
            ([1024, 512, 128], [1024, 512, 128]),
            // No layer gets more than it has.
            ([4096, 2048, 1000], [4096, 2048, 960]),
        ] {
            let found = whole_channels(&shapes, &keep).expect("channels");
            let (sum, budget): (u64, u64) = (found.iter().sum(), keep.iter().sum());
            assert_eq!(found, whole, "{keep:?}");
            assert!(sum <= budget && budget - sum < 64, "{keep:?}: {sum}");
        }
        let error = whole_channels(&shapes, &[1, 2, 60])
            .expect_err("63 units")
            .to_string();
        assert!(error.contains("64 units") && error.contains("63"), "{error}");
    }

    #[test]
    fn what_cannot_be_shared_is_refused() {
        let sizes = [1024, 512, 512, 7];
        let list = Allocation::Published(published::find("ResNet18_c100_relu50k").expect("a list"));
        for (budget, rule, hint) in [
            (Some(Budget::Count(2056)), Allocation::Uniform, "1 to 2055"),
            (None, Allocation::Uniform, "needs a budget"),
            (None, list, "17 ReLU layers, this network has 4"),
            (Some(Budget::Count(9)), Allocation::Measured, "trained"),
        ] {
            let error = allocate(&sizes, budget, rule, None).expect_err(hint).to_string();
            assert!(error.contains(hint), "{error}");
        }
        // A list for 64 pixels has no counts for 32, and has proportions.
        let resnet: crate::nn::Arch = "resnet18".parse().expect("known");
        let sizes: Vec<u64> = resnet
            .survey(32, 10)
            .layers
            .iter()
            .map(|layer| layer.total())
            .collect();
        let list = Allocation::Published(published::find("ResNet18_tiny_imagenet_relu150k").expect("a list"));
        let error = allocate(&sizes, None, list, None)
            .expect_err("too small")
            .to_string();
        assert!(error.contains("resnet18 at 64 pixels"), "{error}");
        let kept = allocate(&sizes, Some(Budget::Count(50_000)), list, None).expect("proportions");
        assert_eq!(kept.iter().sum::<u64>(), 50_000);
    }
}
