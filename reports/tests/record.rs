//! Numbers over trainings, from the score of every image: one file of `rlnet report --by-image` for each seed or part of one.

use rlnet_reports::by_image::COLUMNS;
use rlnet_reports::format;
use rlnet_reports::metrics::trainings::Scores;
use rlnet_reports::metrics::{Estimate, OverTrainings, paired_tests::paired_means};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A number in points with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Points {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Standard deviation of the trainings; of one training none.
    pub deviation: Option<f64>,
    pub trainings: usize,
}

impl Points {
    /// Of one training.
    pub fn of(value: f64, low: f64, high: f64) -> Self {
        Self {
            value,
            low,
            high,
            deviation: None,
            trainings: 1,
        }
    }

    /// With its interval and its spread; a share, or a difference.
    pub fn shown(self, share: bool) -> String {
        let text = |value: f64| match share {
            true => format::percent(value / 100.0),
            false => format::points(value / 100.0),
        };
        let spread = self
            .deviation
            .map_or_else(String::new, |deviation| format!(" ± {deviation:.1}"));
        format!(
            "{}{spread} [{}, {}]",
            text(self.value),
            text(self.low),
            text(self.high)
        )
    }
}

/// The scores of every training: by network, branch policy and measure, then by seed.
pub struct Record(BTreeMap<[String; 3], BTreeMap<u32, Scores>>);

impl Record {
    pub const SINGLE: &str = "single branch";

    pub fn read(folder: &Path) -> Self {
        let mut all: BTreeMap<[String; 3], BTreeMap<u32, Scores>> = BTreeMap::new();
        let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for file in files.map(|file| file.expect("a file").path()) {
            if file.extension().is_none_or(|extension| extension != "csv") {
                continue;
            }
            let mut reader = csv::Reader::from_path(&file).expect("a file");
            assert_eq!(reader.headers().expect("a head"), COLUMNS.as_slice());
            for row in reader.records().map(|row| row.expect("a row")) {
                let (name, seed) = row[0].split_once(".seed").unwrap_or((&row[0], "0"));
                let seed = seed.parse().expect("a seed");
                let image = row[2].parse().expect("an image");
                for (column, text) in COLUMNS[3..].iter().zip(row.iter().skip(3)) {
                    let Ok(score) = text.parse() else { continue };
                    let key = [name.to_owned(), row[1].to_owned(), (*column).to_owned()];
                    let trainings = all.entry(key).or_default();
                    let again = trainings.entry(seed).or_default().insert(image, score);
                    assert_eq!(again, None, "{}: {row:?} is there twice", file.display());
                }
            }
        }
        Self(all)
    }

    /// A network's mean over its trainings, or its difference to another, seed by seed and image by image. Where the
    /// reading is not known of one, its single branch counts.
    pub fn points(&self, model: &str, against: Option<&str>, reading: &str, column: &str) -> Points {
        self.try_points(model, against, reading, column)
            .or_else(|| self.try_points(model, against, Self::SINGLE, column))
            .unwrap_or_else(|| panic!("no {column} of {model}, {reading}"))
    }

    /// As [`Self::points`], of a network that has this reading.
    pub fn try_points(
        &self,
        model: &str,
        against: Option<&str>,
        reading: &str,
        column: &str,
    ) -> Option<Points> {
        let of = |model: &str, reading: &str| self.0.get(&[model, reading, column].map(str::to_owned));
        let own = of(model, reading)?;
        let Some(against) = against else {
            let scores: Vec<Scores> = own.values().cloned().collect();
            return Some(match OverTrainings::of(&scores) {
                Some(found) => {
                    let share = found.estimate();
                    over(&found, share.low, share.high)
                }
                None => once(&scores[0]),
            });
        };
        let other = of(against, reading).or_else(|| of(against, Self::SINGLE))?;
        let pairs: Vec<(&Scores, &Scores)> = own
            .iter()
            .filter_map(|(seed, scores)| Some((scores, other.get(seed)?)))
            .collect();
        let minus = |(own, other): &(&Scores, &Scores)| -> Scores {
            let both = own
                .iter()
                .filter_map(|(image, score)| Some((*image, score - other.get(image)?)));
            both.collect()
        };
        match OverTrainings::of(&pairs.iter().map(minus).collect::<Vec<_>>()) {
            Some(found) => {
                let difference = found.difference();
                Some(over(&found, difference.low, difference.high))
            }
            None => {
                let (own, other) = pairs.first()?;
                let found = paired_means(own, other)?;
                Some(Points::of(
                    100.0 * found.value,
                    100.0 * found.low,
                    100.0 * found.high,
                ))
            }
        }
    }
}

impl Record {
    /// The mean of each training, in percent.
    pub fn each(&self, model: &str, reading: &str, column: &str) -> Vec<f64> {
        let of = |scores: &Scores| 100.0 * scores.values().sum::<f64>() / scores.len() as f64;
        let trainings = self.0.get(&[model, reading, column].map(str::to_owned));
        trainings.into_iter().flat_map(BTreeMap::values).map(of).collect()
    }
}

/// Several trainings, with the ends of the interval that a report would print.
fn over(found: &OverTrainings, low: f64, high: f64) -> Points {
    Points {
        value: 100.0 * found.mean,
        low: 100.0 * low,
        high: 100.0 * high,
        deviation: Some(100.0 * found.deviation),
        trainings: found.trainings,
    }
}

/// One training: Wilson's interval for the effective number of images.
fn once(scores: &Scores) -> Points {
    let shares: Vec<f64> = scores.values().copied().collect();
    // The file does not say how many answers a mean over corruptions is made of: they only bound the effective number of images.
    let answers = match shares.iter().all(|share| [0.0, 1.0].contains(share)) {
        true => shares.len() as u64,
        false => u64::MAX,
    };
    let found = Estimate::of_clusters(&shares, 0, answers);
    Points::of(100.0 * found.value, 100.0 * found.low, 100.0 * found.high)
}
