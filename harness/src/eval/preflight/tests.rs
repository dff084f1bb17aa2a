//! Models with one vice each, and sound ones.

use super::*;
use std::cell::Cell;

/// A linear model with one vice.
struct Vicious {
    vice: Option<Finding>,
    calls: Cell<u32>,
    /// What its logits are multiplied by.
    scale: f64,
    /// The logits of one more class, which no image is of.
    left_out: Option<f64>,
}

impl Vicious {
    fn new(vice: Option<Finding>) -> Self {
        Self {
            vice,
            calls: Cell::new(0),
            scale: 1.0,
            left_out: None,
        }
    }

    fn three(&self, images: &Tensor) -> Tensor {
        self.calls.set(self.calls.get() + 1);
        let flat = images.flatten(1, -1);
        let rows = Tensor::arange(3 * flat.size()[1], (Kind::Float, Device::Cpu)).reshape([3, -1]);
        let weights = (rows * 0.37).sin().transpose(0, 1);
        let logits = flat.matmul(&weights);
        match self.vice {
            None => logits,
            Some(Finding::Softmax) => logits.softmax(1, Kind::Float),
            // Its boundaries go through the middle of bytes, far from [0, 1].
            Some(Finding::InputRange) => (flat - 127.5).matmul(&weights),
            Some(Finding::BatchDependent) => &logits - logits.mean_dim([0_i64].as_slice(), true, Kind::Float),
            Some(Finding::Randomised) => {
                logits + f64::from(self.calls.get()) * Tensor::from_slice(&[0.0_f32, 1.0, 2.0])
            }
            Some(Finding::NanLogits) => logits + (images * 0.0 - 1.0).log().flatten(1, -1).narrow(1, 0, 3),
            Some(Finding::NanGradient) => logits + (images * 0.0).sqrt().flatten(1, -1).narrow(1, 0, 3),
            Some(Finding::ZeroGradient) => (logits * 0.1).round(),
            Some(Finding::Classes) => logits.narrow(1, 0, 2),
            Some(Finding::BatchBits) => {
                let places = Tensor::arange(flat.size()[0], (Kind::Float, Device::Cpu)).unsqueeze(1);
                &logits + &logits * (places * 2e-7)
            }
        }
    }
}

impl Classifier for Vicious {
    fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
        let logits = self.three(images) * self.scale;
        Ok(match self.left_out {
            None => logits,
            Some(value) => Tensor::cat(&[&logits, &(logits.narrow(1, 0, 1).detach() * 0.0 + value)], 1),
        })
    }
    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

fn examine(model: &dyn Classifier, images: &Tensor, labels: &Tensor, classes: usize) -> Vec<Found> {
    let examinee = Examinee {
        model,
        branch: Branch::Single,
        images,
        labels,
        classes,
        own: false,
    };
    examinee.examine().expect("an examination")
}

fn codes(found: &[Found]) -> Vec<Finding> {
    found.iter().map(|found| found.finding).collect()
}

/// So many images of three classes.
fn some_images(n: i64) -> (Tensor, Tensor) {
    let pixels = (Tensor::arange(n * 12, (Kind::Float, Device::Cpu)) * 0.7).sin() * 0.5 + 0.5;
    let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(3);
    (pixels.reshape([n, 3, 2, 2]), labels)
}

#[test]
fn each_vice_is_found_by_its_code_and_a_sound_model_passes() {
    let (images, labels) = some_images(4);
    let found = |vice| codes(&examine(&Vicious::new(vice), &images, &labels, 3));
    assert_eq!(found(None), []);
    for vice in ALL.into_iter().filter(|vice| *vice != Finding::InputRange) {
        let wanted = match vice {
            Finding::NanLogits => vec![vice, Finding::NanGradient],
            vice => vec![vice],
        };
        assert_eq!(found(Some(vice)), wanted, "{}", vice.code());
    }
    let softmax = [Found::new(Finding::Softmax).about(Some("foo"))];
    let error = judge(&softmax, &[]).expect_err("refused").to_string();
    assert!(error.contains("surrogate foo: [softmax]"), "{error}");
    assert!(error.contains("--allow softmax"), "{error}");
    let passed = judge(&softmax, &[Finding::Softmax]).expect("allowed");
    assert_eq!(passed.allowed, ["surrogate foo: softmax"]);
    assert_eq!(passed.warnings, [""; 0]);
}

#[test]
fn no_class_that_is_left_out_and_no_scale_blinds_a_check() {
    let (images, labels) = some_images(16);
    for left_out in [f64::NEG_INFINITY, -1e9, -3e38] {
        for vice in [
            None,
            Some(Finding::Softmax),
            Some(Finding::BatchDependent),
            Some(Finding::Randomised),
        ] {
            let model = Vicious {
                left_out: Some(left_out),
                ..Vicious::new(vice)
            };
            let wanted: Vec<Finding> = vice.into_iter().collect();
            assert_eq!(codes(&examine(&model, &images, &labels, 4)), wanted, "{left_out}");
        }
    }
    for scale in [1e-6, 1e-3, 10.0] {
        for vice in [None, Some(Finding::BatchDependent), Some(Finding::Randomised)] {
            let model = Vicious {
                scale,
                ..Vicious::new(vice)
            };
            let wanted: Vec<Finding> = vice.into_iter().collect();
            assert_eq!(codes(&examine(&model, &images, &labels, 3)), wanted, "{scale}");
        }
    }
}

#[test]
fn a_number_against_none_is_a_difference_and_equal_ones_are_not() {
    let row = |values: [f32; 3]| Tensor::from_slice(&values).unsqueeze(0);
    let (low, nan) = (f32::NEG_INFINITY, f32::NAN);
    for (one, other, wanted) in [
        ([1.0, 2.0, low], [1.0, 2.0, low], false),
        ([1.0, 2.0, low], [1.0, 2.0, -1e9], true),
        ([1.0, 2.0, nan], [1.0, 2.0, 3.0], true),
        ([1.0, 2.0, nan], [1.0, 2.0, nan], false),
        ([1.0, 2.0, -1e9], [1.001, 2.0, -1e9], true),
        ([1.0, 2.0, -1e9], [1.00001, 2.0, -1e9], false),
        ([low, low, 5.0], [low, low, 5.0], false),
    ] {
        assert_eq!(
            logits::differ(&row(one), &row(other)),
            wanted,
            "{one:?} {other:?}"
        );
        assert_eq!(
            logits::differ(&row(other), &row(one)),
            wanted,
            "{other:?} {one:?}"
        );
    }
    assert!(logits::undefined(&row([low, low, low])) && logits::undefined(&row([1.0, f32::INFINITY, 0.0])));
    assert!(!logits::undefined(&row([low, 1.0, low])));
}

/// Logits that depend on the other images of a batch.
struct Social(fn(&Tensor) -> Tensor);

impl Classifier for Social {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        let logits = Vicious::new(None).logits(images, branch)?;
        Ok(&logits - (self.0)(&logits) * 0.2)
    }
    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// The mean over each `size` images, as of batch norm over parts of a batch.
fn mean_of_groups(logits: &Tensor, size: i64) -> Tensor {
    let n = logits.size()[0];
    let groups = logits.reshape([n / size, size, 3]);
    let mean = groups.mean_dim([1_i64].as_slice(), true, Kind::Float);
    mean.expand_as(&groups).reshape([n, 3])
}

#[test]
fn what_depends_on_the_batch_is_found_with_any_number_of_images() {
    let models: [fn(&Tensor) -> Tensor; 7] = [
        |logits| logits.mean_dim([0_i64].as_slice(), true, Kind::Float),
        |logits| logits.narrow(0, 0, 1),
        |logits| logits.roll([1], [0]),
        |logits| logits.ones_like() * logits.size()[0],
        |logits| logits.amax([0_i64].as_slice(), true),
        |logits| mean_of_groups(logits, 2),
        |logits| mean_of_groups(logits, 8),
    ];
    for n in [1, 2, 3, 17] {
        let (images, labels) = some_images(n);
        for (place, model) in models.iter().enumerate() {
            let found = codes(&examine(&Social(*model), &images, &labels, 3));
            assert_eq!(found, [Finding::BatchDependent], "{n} images, model {place}");
        }
        assert_eq!(
            codes(&examine(&Vicious::new(None), &images, &labels, 3)),
            [],
            "{n}"
        );
    }
}

/// A last layer of this width, as `torch.nn.Linear(width, 8)`.
struct Last(i64);

impl Classifier for Last {
    fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
        let weights =
            (Tensor::arange(8 * self.0, (Kind::Float, Device::Cpu)).reshape([8, self.0]) * 0.37).sin();
        let values = images.flatten(1, -1).narrow(1, 0, self.0).contiguous();
        Ok(values.matmul(&weights.tr()))
    }
    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

#[test]
fn bits_that_depend_on_the_place_in_a_batch_are_a_warning() {
    let pixels = (Tensor::arange(24 * 192, (Kind::Float, Device::Cpu)) * 0.7).sin() * 0.5 + 0.5;
    let images = pixels.reshape([24, 3, 8, 8]);
    let labels = Tensor::arange(24, (Kind::Int64, Device::Cpu)).remainder(8);
    for width in [50, 51, 52, 64] {
        let model = Last(width);
        let whole = model.logits(&images, Branch::Single).expect("logits");
        let moved = model
            .logits(&images.roll([1], [0]), Branch::Single)
            .expect("logits");
        // Which widths do it is the machine's affair; that it is said is ours.
        let depends = !whole.equal(&moved.roll([-1], [0]));
        let found = examine(&model, &images, &labels, 8);
        let passed = judge(&found, &[]).expect("not refused");
        let said = passed
            .warnings
            .iter()
            .any(|warning| warning.starts_with("batch-bits: "));
        assert!(said || !depends, "width {width}: {found:?}");
        if width % 4 == 0 {
            assert!(!said, "width {width}: {found:?}");
        }
    }
}

/// Two classes by the sign of the first value: right of images from -1 to 1.
struct Signed;

impl Classifier for Signed {
    fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
        let first = images.flatten(1, -1).select(1, 0);
        Ok(Tensor::stack(&[&(-&first), &first], 1))
    }
    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// `n` images, three in five of them of class 1, whose brightness shows the class of 17 in 20.
fn bright_and_dark(n: i64) -> (Tensor, Tensor) {
    let places = Tensor::arange(n, (Kind::Int64, Device::Cpu));
    let labels = places.remainder(5).lt(3).to_kind(Kind::Int64);
    let wrong = places.remainder(20).eq(0) + places.remainder(20).eq(5) + places.remainder(20).eq(9);
    let shown = labels.bitwise_xor_tensor(&wrong.to_kind(Kind::Int64));
    let level = shown.to_kind(Kind::Float) * 0.5 + 0.25;
    (
        level.reshape([n, 1, 1, 1]).expand([n, 3, 2, 2], false).copy(),
        labels,
    )
}

#[test]
fn a_range_that_does_somewhat_better_is_a_warning_with_both_numbers() {
    for n in [20, 60, 200] {
        let (images, labels) = bright_and_dark(n);
        let passed = judge(&examine(&Signed, &images, &labels, 2), &[]).expect("not refused");
        let [warning] = passed.warnings.as_slice() else {
            panic!("{:?}", passed.warnings)
        };
        for part in [
            "input-range: ",
            &format!("60.0 % of {n} images"),
            "85.0 % given values from -1 to 1",
        ] {
            assert!(warning.contains(part), "{warning}");
        }
    }
    // No worse on [0, 1], and what always says one class: nothing.
    let (images, _) = bright_and_dark(60);
    let ones = Tensor::ones([60], (Kind::Int64, Device::Cpu));
    assert_eq!(examine(&Signed, &images, &ones, 2), []);
}

#[test]
fn what_this_program_trained_knows_its_range_and_its_run_goes_on() {
    let (images, labels) = bright_and_dark(60);
    let own = |model| Examinee {
        model,
        branch: Branch::Single,
        images: &images,
        labels: &labels,
        classes: 2,
        own: true,
    };
    assert_eq!(own(&Signed).examine().expect("an examination"), []);
    // Probabilities by chance, of two classes.
    struct Small;
    impl Classifier for Small {
        fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
            Ok(Signed.logits(images, branch)? * 0.1 + 0.5)
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }
    assert_eq!(own(&Small).examine().expect("an examination"), []);
    // What a run trains cannot be let through by hand: what is found is said.
    let dead = Found::new(Finding::ZeroGradient).about_own();
    let passed = judge(&[dead], &[]).expect("not refused");
    assert!(
        passed.warnings[0].starts_with("zero-gradient: "),
        "{:?}",
        passed.warnings
    );
}

#[test]
fn a_model_of_bytes_is_found_by_its_answers() {
    let pixels: Vec<f32> = (0..24 * 12)
        .map(|i| ((i * i * 37) % 101) as f32 / 100.0)
        .collect();
    let images = Tensor::from_slice(&pixels).reshape([24, 3, 2, 2]);
    let found = |vice, range: f64| {
        let model = Vicious::new(vice);
        let logits = model.logits(&(&images * range), Branch::Single).expect("logits");
        let labels = logits.argmax(1, false);
        codes(&examine(&model, &images, &labels, 3))
    };
    assert_eq!(found(Some(Finding::InputRange), 255.0), [Finding::InputRange]);
    // The same model where its answers to images in [0, 1] are right (it is too sure of them for a
    // gradient), and one that does not care.
    assert_eq!(found(Some(Finding::InputRange), 1.0), [Finding::ZeroGradient]);
    assert_eq!(found(None, 255.0), []);
}

#[test]
fn more_logits_than_classes_can_be_allowed_and_fewer_cannot() {
    let images = Tensor::rand([4, 3, 2, 2], (Kind::Float, Device::Cpu));
    let labels = Tensor::from_slice(&[0_i64, 1, 1, 0]);
    let model = Vicious::new(Some(Finding::ZeroGradient));
    let found = |classes| examine(&model, &images, &labels, classes);
    // The other checks are made all the same.
    let more = found(2);
    assert_eq!(more.len(), 2, "{more:?}");
    let both = [Finding::Classes, Finding::ZeroGradient];
    assert_eq!(
        judge(&more, &both).expect("allowed").allowed,
        ["classes", "zero-gradient"]
    );
    let fewer = found(5);
    let error = judge(&fewer, &both).expect_err("refused").to_string();
    assert!(error.contains("3 logits an image, 5 classes"), "{error}");
    assert!(!error.contains("--allow"), "{error}");
}

#[test]
fn images_are_spread_over_classes_in_turns_and_class_by_class() {
    for n in [16, 20, 160, 200, 1000, 2560, 10_000] {
        let places = spread(n, 16);
        assert!(
            places.windows(2).all(|pair| pair[0] < pair[1]) && places[15] < n as i64,
            "{places:?}"
        );
        for class in [|place: i64, _: i64| place % 5, |place: i64, n: i64| place * 5 / n] {
            let seen: std::collections::BTreeSet<i64> =
                places.iter().map(|place| class(*place, n as i64)).collect();
            assert_eq!(seen.len(), 5, "{n}: {places:?}");
        }
    }
    assert_eq!(spread(3, 5), [0, 1, 2, 0, 1]);
}
