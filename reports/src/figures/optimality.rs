//! Accuracy against radius of every minimum-norm attack beside the envelope: a panel a norm, of the first
//! model that has one.

use super::axes::{Entry, Look, plain, ticks};
use super::canvas::{INK, Stroke};
use super::chart::{Axis, Chart, ChartPanel, Interval, Legend, Mark, Series, WIDE, whole};
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::{ENVELOPE, OPTIMALITY};
use crate::metrics::BranchPolicy;
use crate::metrics::optimality::{Envelope, envelopes};
use crate::sections::{Place, Section, Show};
use rlnet_suites::AttackSpec;

/// Places at which a curve is drawn.
const PLACES: usize = 40;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "optimality_curves",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[ENVELOPE, OPTIMALITY],
};

/// The figure, when two minimum-norm attacks of a norm, or one and another attack, were run on some model.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let mut found: Option<(&str, Vec<Envelope>)> = None;
    for model in &analysis.runs.models {
        let Some(matrix) = analysis.matrix(&model.name) else {
            continue;
        };
        let mut policies = BranchPolicy::of(&model.branches).into_iter();
        let policy = policies.rfind(|policy| *policy != BranchPolicy::Oracle);
        let mut all = policy.map_or_else(Vec::new, |policy| envelopes(matrix, policy));
        all.retain(|envelope| envelope.attacks.len() > 1);
        if !all.is_empty() {
            found = Some((&model.name, all));
            break;
        }
    }
    let Some((model, envelopes)) = found else {
        return Ok(None);
    };
    let mut attacks: Vec<AttackSpec> = Vec::new();
    for attack in envelopes.iter().flat_map(|envelope| &envelope.attacks) {
        if !attacks.contains(&attack.attack) {
            attacks.push(attack.attack.clone());
        }
    }
    let black = Look {
        color: INK,
        stroke: Stroke::Solid,
        shape: 0,
        marks: false,
    };
    let look = |attack: &AttackSpec| Look {
        marks: false,
        ..Look::model(
            attacks.iter().position(|other| other == attack).unwrap_or(0),
            Stroke::Dashed,
        )
    };
    let mut entries = vec![Entry {
        name: "envelope".into(),
        look: black,
        line: true,
    }];
    entries.extend(attacks.iter().map(|attack| Entry {
        name: analysis.names.get(attack),
        look: look(attack),
        line: true,
    }));
    let panel = |envelope: &Envelope| {
        let scale = if envelope.norm.in_steps() { 255.0 } else { 1.0 };
        let farthest = envelope.distances.iter().copied().fold(0.0, f64::max) * scale;
        let curve = |look: Look, distances: &[f64]| Series {
            interval: Interval::None,
            ..Series::new(look, points(distances, scale, farthest))
        };
        let each = envelope.attacks.iter();
        let mut series: Vec<Series> = each.map(|own| curve(look(&own.attack), &own.distances)).collect();
        series.push(curve(black, &envelope.distances));
        let unit = if envelope.norm.in_steps() {
            ", in 255ths"
        } else {
            ""
        };
        ChartPanel {
            heading: format!("{} on {model}", envelope.norm.symbol()),
            note: String::new(),
            across: Axis::new(
                &format!("Radius{unit}"),
                (0.0, farthest),
                &ticks(0.0, farthest, 5),
                plain,
            ),
            up: Axis::percent("Accuracy (%)", &series),
            series,
        }
    };
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries,
        }],
        panels: envelopes.iter().map(panel).collect(),
        columns: envelopes.len().min(2),
        height: 240.0,
        width: WIDE,
    };
    make(
        "optimality_curves",
        "Minimum-norm attacks beside the best of all",
        "At each radius the share of images that an attack did not break within it; the envelope takes of each image the smallest perturbation that any attack of the run found. The nearer a line is to the envelope, the better the attack. Images that nothing broke are left out.".into(),
        format!("Line chart of accuracy against radius for every minimum-norm attack on {model}. The numbers are in the table of minimum-norm attacks beside the best of all."),
        &chart,
    )
    .map(Some)
}

/// Accuracy at radii from 0 to the farthest.
fn points(distances: &[f64], scale: f64, farthest: f64) -> Vec<Mark> {
    let places = (0..=PLACES).map(|place| farthest * place as f64 / PLACES as f64);
    let share = |radius: f64| {
        let left = distances.iter().filter(|size| **size * scale > radius).count();
        100.0 * left as f64 / distances.len().max(1) as f64
    };
    places.map(|radius| Mark::plain(radius, share(radius))).collect()
}
