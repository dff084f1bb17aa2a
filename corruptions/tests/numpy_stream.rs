//! NumPy's legacy stream against numbers that NumPy prints.

use rlnet_corruptions::{NumpyRng, RandomSource};

#[test]
fn words_and_uniforms() {
    let mut rng = NumpyRng::new(12345);
    let words: Vec<u32> = (0..3).map(|_| rng.next_u32()).collect();
    assert_eq!(words, [3_992_670_690, 3_823_185_381, 1_358_822_685]);
    // np.random.seed(0); np.random.random_sample(4)
    let mut rng = NumpyRng::new(0);
    let draws: Vec<f64> = (0..4).map(|_| rng.uniform()).collect();
    let expected = [
        0.548_813_503_927_324_8,
        0.715_189_366_372_419_5,
        0.602_763_376_071_643_9,
        0.544_883_182_996_896_9,
    ];
    assert_eq!(draws, expected);
}

#[test]
fn normals_in_pairs_across_calls() {
    // np.random.seed(0); np.random.randn(6)
    let mut rng = NumpyRng::new(0);
    let draws: Vec<f64> = (0..6).map(|_| rng.normal()).collect();
    let expected = [
        1.764_052_345_967_664,
        0.400_157_208_367_223_3,
        0.978_737_984_105_739_2,
        2.240_893_199_201_458,
        1.867_557_990_149_967_5,
        -0.977_277_879_876_411,
    ];
    for (draw, expected) in draws.into_iter().zip(expected) {
        assert!((draw - expected).abs() < 1e-15, "{draw} {expected}");
    }
    // Filling a slice is drawing one by one.
    let mut filled = [0.0; 6];
    NumpyRng::new(0).fill_normal(&mut filled);
    assert!((filled[5] - expected[5]).abs() < 1e-15);
}

#[test]
fn bounded_integers_by_masked_rejection() {
    // np.random.seed(0); np.random.randint(0, 10, 10)
    let mut rng = NumpyRng::new(0);
    let draws: Vec<u64> = (0..10).map(|_| rng.below(10)).collect();
    assert_eq!(draws, [5, 0, 3, 3, 7, 9, 3, 5, 2, 4]);
    // A range of one draws nothing.
    let mut rng = NumpyRng::new(0);
    assert_eq!(RandomSource::randint(&mut rng, 7, 8), 7);
    assert_eq!(rng.uniform(), 0.548_813_503_927_324_8);
}
