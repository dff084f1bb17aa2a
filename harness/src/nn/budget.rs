//! From a ReLU budget to a count a layer: `keep_l = min(N_l, share of what remains)`, the
//! capped excess redistributed, whole numbers, summing to the budget exactly.
//!
//! Source: the rule behind the published ResNet18 lists (SENet, Kundu et al., ICLR 2023;
//! the reference's sensitivity_list.yaml), recovered from the lists themselves.

use rlnet_suites::SuiteError;
use rlnet_suites::train::Allocation;

/// SENet's ReLU sensitivities of ResNet18's 17 layers, from the published Tiny-ImageNet 150k
/// list (no layer of it is capped, so it shows the weights themselves). Sums to 1.
const W18: [f64; 17] = [
    0.005716, 0.018540, 0.021286, 0.025065, 0.027584, 0.035485, 0.048835, 0.051016, 0.055676, 0.067388,
    0.081432, 0.082766, 0.086233, 0.094095, 0.099020, 0.099863, 0.100000,
];

/// Units to keep in each layer of `sizes`, `budget` in all.
///
/// # Errors
/// When the budget is larger than all the layers together.
pub fn allocate(sizes: &[u64], budget: u64, rule: Allocation) -> Result<Vec<u64>, SuiteError> {
    let total: u64 = sizes.iter().sum();
    if budget > total {
        let message = format!("this network has {total} ReLUs in all");
        return Err(SuiteError::value("budget", budget, message));
    }
    let weights: Vec<f64> = match rule {
        // Uniform: the same share of every layer.
        Allocation::Uniform => sizes.iter().map(|&n| n as f64).collect(),
        Allocation::Sensitivity => (0..sizes.len()).map(|l| sensitivity(l, sizes.len())).collect(),
    };
    let mut exact = vec![0.0; sizes.len()];
    let mut open: Vec<usize> = (0..sizes.len()).collect();
    let mut remaining = budget as f64;
    // Each round either caps a layer or is the last.
    loop {
        let weight: f64 = open.iter().map(|&l| weights[l]).sum();
        let capped: Vec<usize> = open
            .iter()
            .copied()
            .filter(|&l| weights[l] / weight * remaining >= sizes[l] as f64)
            .collect();
        if capped.is_empty() {
            for &l in &open {
                exact[l] = weights[l] / weight * remaining;
            }
            break;
        }
        for &l in &capped {
            exact[l] = sizes[l] as f64;
            remaining -= sizes[l] as f64;
        }
        open.retain(|l| !capped.contains(l));
        if open.is_empty() {
            break;
        }
    }
    Ok(round(&exact, sizes, budget))
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

    fn resnet18(stem: u64) -> Vec<u64> {
        let mut sizes = vec![stem; 5];
        for stage in 1..4 {
            sizes.extend([stem >> stage; 4]);
        }
        sizes
    }

    #[test]
    fn the_published_resnet18_lists_follow_the_rule() {
        // c100_relu100k and tiny_imagenet_relu300k, keep ratios as published.
        let ratios_100k = [
            0.00967, 0.0313, 0.036, 0.04236, 0.0466, 0.12, 0.165, 0.172, 0.188, 0.45555, 0.5505, 0.56, 0.583,
            1.0, 1.0, 1.0, 1.0,
        ];
        let keep = allocate(&resnet18(65_536), 100_000, Allocation::Sensitivity).expect("fits");
        assert_eq!(keep.iter().sum::<u64>(), 100_000);
        for ((&keep, size), ratio) in keep.iter().zip(resnet18(65_536)).zip(ratios_100k) {
            let got = keep as f64 / size as f64;
            assert!(
                (got - ratio).abs() < 0.005 * ratio + 2e-4,
                "{got} against {ratio}"
            );
        }
    }

    #[test]
    fn any_budget_is_met_exactly_and_no_layer_overflows() {
        let sizes = [1024, 512, 512, 7];
        for budget in [1, 2, 100, 1027, 2054, 2055] {
            for rule in [Allocation::Sensitivity, Allocation::Uniform] {
                let keep = allocate(&sizes, budget, rule).expect("fits");
                assert_eq!(keep.iter().sum::<u64>(), budget);
                assert!(keep.iter().zip(sizes).all(|(&k, n)| k <= n));
            }
        }
        assert!(allocate(&sizes, 2056, Allocation::Uniform).is_err());
    }
}
