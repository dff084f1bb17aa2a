//! The Parquet files of a run: which records each holds, under which column names.

use crate::columns::{Value, columns};
use rlnet_suites::{Branch, CurvePoint, GradientProbe, LayerValue, MaskShare, Outcome, Ranking};

/// The file of a certificate's cell that says in which layers signs are left open: [`LayerValue`]s.
pub const UNSTABLE: &str = "unstable.parquet";

/// What to do about a damaged file of a cell.
const CURE: &str = "delete its cell and run the suite again";

columns! { impl [C: Value] for Outcome<C>, "outcome rows", CURE;
    image: u32,
    branch: Branch,
    condition: C,
    label: u16,
    prediction: u16,
    rounded: u16,
    margin: f32,
    loss: f32,
    norm: f32,
    forwards: u32,
    backwards: u32,
    unstable: u32 = 0,
    unusable: u32 = 0,
    ranking: Ranking = Ranking::default(),
}

columns! { impl for CurvePoint, "training curves", CURE;
    epoch: u32,
    metric: String,
    value: f64,
}

// The three below are kept under a curve's column names: runs of every version are read alike.

columns! { impl for MaskShare, "a map of a mask", CURE;
    place as "epoch": u32,
    layer as "metric": String,
    kept as "value": f64,
}

columns! { impl for GradientProbe, "probed gradients", CURE;
    step as "epoch": u32,
    metric: String,
    value: f64,
}

columns! { impl for LayerValue, "values of layers", CURE;
    layer as "epoch": u32,
    metric: String,
    value: f64,
}

#[cfg(test)]
mod tests {
    use crate::columns::{Record, read_frame, read_records, write_outcomes, write_records};
    use polars::prelude::{IntoLazy, lit};
    use polars_io::parquet::write::ParquetWriter;
    use rlnet_suites::{Branch, Condition, CurvePoint, MaskShare, Outcome, Ranking};
    use std::sync::Arc;

    fn rows() -> Vec<Outcome> {
        let row = |text: &str, image: u32| Outcome {
            image,
            branch: Branch::Adversarial,
            condition: text.parse().expect("a condition"),
            label: (image % 7) as u16,
            prediction: (image % 5) as u16,
            rounded: (image % 3) as u16,
            margin: image as f32 - 20.5,
            loss: 0.1 * image as f32,
            norm: 8.0 / 255.0,
            forwards: 21,
            backwards: 20,
            unstable: 0,
            unusable: 0,
            ranking: Ranking::default(),
        };
        let texts = ["clean", "fog/3", "pgd:steps=3"].iter();
        texts
            .flat_map(|text| (0..50).map(move |image| row(text, image)))
            .collect()
    }

    #[test]
    fn outcomes_come_back_as_written_and_equal_rows_give_equal_bytes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        write_records(&a, &rows()).expect("write");
        write_records(&b, &rows()).expect("write");
        assert_eq!(read_records::<Outcome>(&a).expect("read"), rows());
        assert_eq!(std::fs::read(&a).expect("a"), std::fs::read(&b).expect("b"));
        write_records::<Outcome>(&a, &[]).expect("no rows");
        assert!(read_records::<Outcome>(&a).expect("read").is_empty());
    }

    #[test]
    fn rows_of_earlier_versions_are_read_beside_those_of_this_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("outcomes.parquet");
        let mut frame = <Outcome as Record>::frame(&rows())
            .expect("a frame")
            .drop_many(["unstable", "ranking"])
            .lazy()
            .with_column(lit("net").alias("model"))
            .collect()
            .expect("a frame");
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .finish(&mut frame)
            .expect("written");
        std::fs::write(&path, bytes).expect("written");
        assert_eq!(read_records::<Outcome>(&path).expect("read"), rows());
        let new = folder.path().join("new.parquet");
        write_outcomes(&new, &rows(), "net", &[]).expect("written");
        let [old, new] = [path, new].map(|path| read_frame::<Outcome>(&path).expect("read"));
        assert_eq!(old.schema(), new.schema());
        assert!(old.vstack(&new).is_ok());
    }

    #[test]
    fn rows_of_one_condition_share_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("outcomes.parquet");
        write_records(&path, &rows()).expect("write");
        let shared: Vec<Outcome<Arc<Condition>>> = read_records(&path).expect("read");
        assert!(Arc::ptr_eq(&shared[50].condition, &shared[99].condition));
        assert_eq!(*shared[120].condition, rows()[120].condition);
    }

    #[test]
    fn a_value_that_cannot_be_is_an_error_that_names_its_column() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("train.parquet");
        let map = [MaskShare {
            layer: "kept".into(),
            place: 3,
            kept: 0.5,
        }];
        write_records(&path, &map).expect("write");
        // A map has the columns of a curve, and no others.
        let curve: Vec<CurvePoint> = read_records(&path).expect("read");
        assert_eq!(
            (curve[0].epoch, curve[0].metric.as_str(), curve[0].value),
            (3, "kept", 0.5)
        );
        let error = read_records::<Outcome>(&path)
            .expect_err("wrong file")
            .to_string();
        assert!(error.contains("no column `image`"), "{error}");
    }

    #[test]
    fn what_is_not_parquet_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("outcomes.parquet");
        let error = read_records::<Outcome>(&path).expect_err("absent").to_string();
        assert!(error.contains("outcomes.parquet"), "{error}");
        std::fs::write(&path, b"PAR1 but cut off").expect("write");
        let error = read_records::<Outcome>(&path).expect_err("cut").to_string();
        assert!(
            error.contains("outcomes.parquet") && error.contains("not a readable"),
            "{error}"
        );
    }
}
