//! One image of 32x32 at severity 3, for each corruption, one thread.

use criterion::{Criterion, criterion_group, criterion_main};
use rlnet_corruptions::{Corruption, Generator, KeyedRng, ParameterSet, Severity};

fn corruptions(criterion: &mut Criterion) {
    let mut rng = KeyedRng::new(0, "bench", &[]);
    // A batch of two images is one work item: no hand-over between threads.
    let images: Vec<u8> = (0..2 * 3072).map(|_| rng.below(256) as u8).collect();
    let mut out = vec![0; images.len()];
    let generator = Generator::default();
    let Ok(severity) = Severity::new(3) else {
        return;
    };
    let mut group = criterion.benchmark_group("two images of 32x32");
    let defined = |corruption: &Corruption| corruption.is_defined_for(ParameterSet::Cifar);
    for corruption in Corruption::ALL.into_iter().filter(defined) {
        group.bench_function(corruption.name(), |bencher| {
            bencher.iter(|| {
                generator
                    .batch(corruption, severity)
                    .run(&images, (32, 32), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, corruptions);
criterion_main!(benches);
